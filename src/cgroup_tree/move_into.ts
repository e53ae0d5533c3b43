/** What is written to a file that moves processes: the order for move.ts, with this tree's means. */
import { writeSync } from "node:fs";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { errno, errnoOf, SystemError } from "../sys/errno.ts";
import { closeFd, openEntry } from "../sys/native.ts";
import { bytesOf } from "./bytes.ts";
import { type Seen, type TreeContext } from "./context.ts";
import { movesWhat } from "./decide.ts";
import { leavesLimits } from "./limits.ts";
import { move } from "./move.ts";
import { moveByStep } from "./move_by_step.ts";

const O_WRONLY = 1;

/** @param write writes to the file that is meant, with the caller's credentials */
export function moveInto(
  context: TreeContext,
  seen: Seen,
  text: string,
  write: (bytes: Buffer) => void,
): void {
  const { procRoot, layout } = context;
  const { caller, mounted, file = "" } = seen;
  const { hierarchy } = mounted;
  if (!caller.isHost && seen.standing.is === "below") refuseToLeaveLimits(context, seen);
  move({
    procRoot,
    layout,
    hierarchy,
    caller,
    what: movesWhat(file) ?? "process",
    text,
    toHost: (pid) =>
      caller.samePids ? pid : context.inNamespaceOf(caller, (namespace) => namespace.toHost(pid)),
    write(number, from) {
      try {
        write(Buffer.from(number));
      } catch (error) {
        if (errnoOf(error) !== errno.EACCES || !mayStep(seen) || from === undefined) throw error;
        moveByStep(context, seen, Number(number), from, (pid, path) =>
          putBack(context, seen, `${path}/cgroup.procs`, pid),
        );
      }
    },
    putBack: (number, path, file) => putBack(context, seen, `${path}/${file}`, number),
  });
}

/** Whether what was refused may be what root of a user namespace may do all the same. */
function mayStep({ mounted, caller, file }: Seen): boolean {
  const { ofHost } = caller.identity();
  return mounted.hierarchy.version === 2 && file === "cgroup.procs" && !ofHost;
}

/** With the server's own credentials. */
function putBack({ cgroups }: TreeContext, { mounted }: Seen, path: string, number: number): void {
  const target = cgroupDirectory(mounted.hierarchy, path);
  if (target === undefined) return;
  cgroups.withDirectory(mounted, mounted.topId, (topFd) => {
    const below = target.slice(mounted.hierarchy.mountPoint.length + 1);
    const fd = openEntry(topFd, bytesOf(below), O_WRONLY);
    try {
      writeSync(fd, String(number));
    } finally {
      closeFd(fd);
    }
  });
}

function refuseToLeaveLimits({ cgroups }: TreeContext, { caller, mounted }: Seen): void {
  if (mounted.hierarchy.version === 2) return;
  const rootId = caller.rootId(mounted.hierarchy);
  if (rootId === undefined) throw new SystemError("move a process", errno.ENOENT);
  const leaves = cgroups.withDirectory(mounted, rootId, (fd) =>
    leavesLimits(fd, mounted.hierarchy),
  );
  if (leaves) throw new SystemError("move a process out of its limits", errno.EPERM);
}
