/** Questions to a mount table (host/mountinfo.ts) that attaching asks. */
import type { Mount } from "../host/mountinfo.ts";

/** The type under which this filesystem is mounted, here and by the original. */
export const LXCFS_TYPE = "fuse.lxcfs";

/** What the kernel appends to the root of a mount whose name has gone; the mount works on. */
const DELETED = "//deleted";

/** Where a path lives: its superblock (`major:minor`), and its path inside that filesystem. */
export interface Location {
  readonly device: string;
  readonly root: string;
}

export function deviceOf(mount: Mount): string {
  return `${mount.major}:${mount.minor}`;
}

export function rootOf(mount: Mount): string {
  return mount.root.endsWith(DELETED) ? mount.root.slice(0, -DELETED.length) : mount.root;
}

/** The group of mounts this one shares its own mounts with, or `undefined` if it keeps them. */
export function peerGroupOf(mount: Mount): string | undefined {
  return mount.optionalFields.find((field) => field.startsWith("shared:"))?.slice(7);
}

/**
 * The filesystem that answers for `path` (absolute, no symbolic links) according to `mounts`,
 * without touching it: a filesystem that hangs does not hang the question.
 */
export function locate(mounts: readonly Mount[], path: string): Location | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (!isBelow(path, mount.mountPoint)) continue;
    if (!best || mount.mountPoint.length > best.mountPoint.length) best = mount;
  }
  if (!best) return undefined;
  const mount = topmost(mounts, best.mountPoint) ?? best;
  const rest = mount.mountPoint === "/" ? path : path.slice(mount.mountPoint.length);
  return { device: deviceOf(mount), root: joinPath(rootOf(mount), rest) };
}

/**
 * The mount on `point` that lies on top of all others there. Neither order nor id tells it: a mount
 * that was slipped beneath another is the younger one. On top is what carries no other.
 */
export function topmost(mounts: readonly Mount[], point: string): Mount | undefined {
  const here = mounts.filter((mount) => mount.mountPoint === point);
  const carrying = new Set(here.map((mount) => mount.parentId));
  return here.findLast((mount) => !carrying.has(mount.id)) ?? here.at(-1);
}

function isBelow(path: string, directory: string): boolean {
  return directory === "/" || path === directory || path.startsWith(`${directory}/`);
}

function joinPath(directory: string, rest: string): string {
  const joined = `${directory === "/" ? "" : directory}${rest === "/" ? "" : rest}`;
  return joined === "" ? "/" : joined;
}
