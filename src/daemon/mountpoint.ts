/**
 * What is found at a mountpoint before the mount: nothing of ours, a filesystem that lives, or one
 * whose server is gone (every access says ENOTCONN, "Transport endpoint is not connected").
 */
import { realpathSync, statfs } from "node:fs";
import { resolve } from "node:path";
import { readMountinfo } from "../host/mountinfo.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import { cachedSource } from "./paths.ts";

/** Type of the mounts, as `mount` and `/proc/mounts` show it: the one LXCFS has. */
export const MOUNT_TYPE = "fuse.lxcfs";

/** How long a filesystem may take to answer before it counts as hung. */
const ANSWER_MS = 2000;

export type Liveness = "answers" | "dead" | "hung";

/**
 * The path of a mountpoint as the kernel tells it, so that it is found again in mountinfo however it
 * was given: links are followed, which works on dead mounts, too.
 */
export function mountpointPath(given: string): string {
  try {
    return realpathSync.native(given);
  } catch {
    return resolve(given);
  }
}

/**
 * Mountpoints of this type whose whole filesystem is mounted there, in the order of mounting. The
 * connection that a server keeps for its own use is none that anybody asked for.
 */
export function lxcfsMountpoints(procRoot = "/proc"): string[] {
  return readMountinfo(procRoot)
    .filter((mount) => mount.type === MOUNT_TYPE && mount.root === "/")
    .filter((mount) => !mount.source.startsWith(cachedSource("")))
    .map((mount) => fromBytes(mount.mountPoint));
}

/** The type of the mount that is uppermost at exactly `path`, if one is. */
export function mountTypeAt(path: string, procRoot = "/proc"): string | undefined {
  return readMountinfo(procRoot).findLast((mount) => fromBytes(mount.mountPoint) === path)?.type;
}

/**
 * Asks the filesystem at `path` whether it answers. statfs(2) is the question because the kernel
 * never answers it from a cache. It is asked from libuv's pool, so a hung one holds no more than
 * that thread.
 */
export function liveness(path: string, answerMs: number = ANSWER_MS): Promise<Liveness> {
  return new Promise((tell) => {
    const timer = setTimeout(() => tell("hung"), answerMs);
    statfs(path, (error) => {
      clearTimeout(timer);
      const code = error === null ? 0 : errnoOf(error);
      tell(code === errno.ENOTCONN || code === errno.ECONNABORTED ? "dead" : "answers");
    });
  });
}

/** Kernel files are read byte by byte; names in them are UTF-8 by custom. */
export function fromBytes(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}

/** How mountinfo writes `path`, which the holder compares with. */
export function escapeMountPath(path: string): string {
  return path.replaceAll(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
