/**
 * The one move on cgroup v2 that the kernel allows root of a user namespace and that no credentials of
 * ours pass: into a group of one of its users, from where that user may not take a process away.
 *
 * Asked are two files, with the credentials of who opened the first (Linux, cgroup_attach_permissions):
 * the target's `cgroup.procs`, and that of the group above both. By CAP_DAC_OVERRIDE in its own user
 * namespace that root may write both; we can be the owner of the one or of the other (identity.ts), and
 * more than that, the host's root, would be allowed everything in the same instant.
 *
 * So it is two moves, and the kernel decides on both at the moment that they are made: as the owner of
 * the upper one into a group of the server's below the target; from there, which only the target is
 * above, as the owner of the target. What is forked meanwhile comes along.
 */
import { statSync, writeSync } from "node:fs";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { errno, errnoOf, SystemError } from "../sys/errno.ts";
import {
  changeOwnerAt,
  closeFd,
  makeDirectoryAt,
  openEntry,
  removeDirectoryAt,
} from "../sys/native.ts";
import { readFd } from "../sys/read.ts";
import type { Seen, TreeContext } from "./context.ts";
import { FOREIGN } from "./decide.ts";
import { statEntry } from "./entries.ts";
import { type Actor, actorFor } from "./identity.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const PROCS = Buffer.from("cgroup.procs");
/** Processes may go on forking while they are moved; so often is looked for more. */
const ROUNDS = 100;

/**
 * @param fromPath the cgroup that the process is in now
 * @param putBack moves a process to a cgroup with the server's own rights
 * @throws SystemError as the kernel would
 */
export function moveByStep(
  context: TreeContext,
  seen: Seen,
  hostPid: number,
  fromPath: string,
  putBack: (hostPid: number, path: string) => void,
): void {
  const { acting, cgroups } = context;
  const identity = seen.caller.identity();
  cgroups.withDirectory(seen.mounted, seen.id, (targetFd) => {
    const asTargets = actorFor(identity, statEntry(targetFd, PROCS));
    const asUppers = upperActor(context, seen, fromPath);
    // What one of them alone may do was tried before.
    if (asTargets.filesystemUid === asUppers.filesystemUid) throw refusal();
    acting.as(asTargets, () => closeFd(openEntry(targetFd, PROCS, O_WRONLY)));
    const name = Buffer.from(`lxcfs.${hostPid}`);
    try {
      makeDirectoryAt(targetFd, name, 0o755);
    } catch {
      // There may be no group below, or none more.
      throw refusal();
    }
    const stepFd = openEntry(targetFd, name, O_RDONLY);
    try {
      changeOwnerAt(stepFd, PROCS, asUppers.filesystemUid, asUppers.filesystemGid);
      acting.as(asUppers, () => writeTo(stepFd, String(hostPid)));
      try {
        for (let round = 0; round < ROUNDS && !remove(targetFd, name); round++) {
          moveAll(stepFd, (pid) => acting.as(asTargets, () => writeTo(targetFd, pid)));
        }
      } catch (error) {
        moveAll(stepFd, (pid) => putBack(Number(pid), fromPath));
        throw error;
      }
    } finally {
      closeFd(stepFd);
      remove(targetFd, name);
    }
  });
}

/** As whom the caller may write the list of processes of the group above both. */
function upperActor(context: TreeContext, seen: Seen, fromPath: string): Actor {
  const { cgroups } = context;
  const { mounted, caller } = seen;
  const from = cgroupDirectory(mounted.hierarchy, fromPath);
  const fromId = from === undefined ? undefined : statSync(Buffer.from(from, "latin1")).ino;
  const above = new Set(fromId === undefined ? [] : cgroups.chainTo(mounted, fromId));
  const upper = cgroups.chainTo(mounted, seen.id).findLast((id) => above.has(id));
  const { is } = upper === undefined ? FOREIGN : context.standing(caller, mounted, upper);
  if (upper === undefined || is === "foreign" || is === "ancestor") {
    throw refusal();
  }
  return cgroups.withDirectory(mounted, upper, (fd) =>
    actorFor(caller.identity(), statEntry(fd, PROCS)),
  );
}

function refusal(): SystemError {
  return new SystemError("move a process", errno.EACCES);
}

function writeTo(directoryFd: number, text: string): void {
  const fd = openEntry(directoryFd, PROCS, O_WRONLY);
  try {
    writeSync(fd, text);
  } finally {
    closeFd(fd);
  }
}

/** Moves all processes of a group; what has ended meanwhile need not be. */
function moveAll(directoryFd: number, moveOne: (pid: string) => void): void {
  const fd = openEntry(directoryFd, PROCS, O_RDONLY);
  try {
    for (const pid of readFd(fd).split("\n").filter(Boolean)) {
      try {
        moveOne(pid);
      } catch (error) {
        if (errnoOf(error) !== errno.ESRCH) throw error;
      }
    }
  } finally {
    closeFd(fd);
  }
}

/** @returns whether it is gone */
function remove(directoryFd: number, name: Buffer): boolean {
  try {
    removeDirectoryAt(directoryFd, name);
    return true;
  } catch (error) {
    return errnoOf(error) === errno.ENOENT;
  }
}
