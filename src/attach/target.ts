/**
 * A process's view of the filesystem, held open: its mount namespace and its root directory. All of
 * it is taken through one descriptor of `/proc/<pid>`, so that a pid given to another process
 * meanwhile cannot mix two containers.
 */
import { closeSync, constants, openSync, readlinkSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import { readFile } from "../sys/read.ts";
import { parseMountinfo, type Mount } from "../host/mountinfo.ts";

/** open(2) flag that Node does not name: a descriptor of a place, without asking its filesystem. */
export const O_PATH = 0o10000000;

/** The process has gone, or was never there. */
export class GoneError extends Error {
  constructor(pid: number) {
    super(`Process ${pid} does not exist any more`);
    this.name = "GoneError";
  }
}

/** What was asked must not be done, whatever the rights. */
export class RefusedError extends Error {
  override readonly name = "RefusedError";
}

/** Holds descriptors: close it. */
export class Target {
  readonly pid: number;
  /** The namespace's own name, `mnt:[4026531841]`. */
  readonly namespace: string;
  readonly namespaceFd: number;
  readonly rootFd: number;
  readonly mounts: readonly Mount[];

  private constructor(pid: number, namespace: string, fds: [number, number], mounts: Mount[]) {
    this.pid = pid;
    this.namespace = namespace;
    [this.namespaceFd, this.rootFd] = fds;
    this.mounts = mounts;
  }

  /** @throws GoneError if there is no such process; RefusedError if this process may not look at it */
  static open(procRoot: string, pid: number): Target {
    const fds: number[] = [];
    try {
      const directory = open(`${procRoot}/${pid}`, constants.O_DIRECTORY | O_PATH);
      fds.push(directory);
      const process = `/proc/self/fd/${directory}`;
      const namespaceFd = open(`${process}/ns/mnt`, constants.O_RDONLY);
      fds.push(namespaceFd);
      const rootFd = open(`${process}/root`, constants.O_DIRECTORY | O_PATH);
      fds.push(rootFd);
      const mounts = parseMountinfo(readFile(`${process}/mountinfo`));
      const target = new Target(
        pid,
        readlinkSync(`${process}/ns/mnt`),
        [namespaceFd, rootFd],
        mounts,
      );
      closeSync(directory);
      return target;
    } catch (thrown) {
      for (const fd of fds) closeSync(fd);
      const code = errnoOf(thrown);
      if (code === errno.ENOENT || code === errno.ESRCH) throw new GoneError(pid);
      if (code === errno.EACCES || code === errno.EPERM) {
        throw new RefusedError(
          `No right to enter process ${pid}: root with CAP_SYS_PTRACE and CAP_SYS_ADMIN is needed`,
        );
      }
      throw thrown;
    }
  }

  close(): void {
    closeSync(this.namespaceFd);
    closeSync(this.rootFd);
  }
}

function open(path: string, flags: number): number {
  return openSync(path, flags);
}

/** The mount a descriptor lies in, by id: what is topmost at the moment it was opened. */
export function mountIdOf(fd: number): number {
  const found = /^mnt_id:\s*(\d+)/m.exec(readFile(`/proc/self/fdinfo/${fd}`));
  if (!found) throw new Error(`Cannot find the mount of fd ${fd}: its fdinfo names none`);
  return Number(found[1]);
}
