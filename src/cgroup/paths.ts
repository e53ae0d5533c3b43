/**
 * From the text of `/proc/<pid>/cgroup` to cgroup directories, and from a directory to the levels
 * above it.
 */
import { parseProcCgroup } from "../host/proc_cgroup.ts";
import { inodeOf } from "../sys/native.ts";
import type { CgroupLayout } from "./layout.ts";
import type { CgroupPaths, Hierarchy } from "./types.ts";

/**
 * A process's cgroup in each mounted hierarchy; hierarchies that are not mounted are left out.
 * @throws ParseError on a malformed text
 */
export function cgroupPaths(layout: CgroupLayout, procCgroupText: string): CgroupPaths {
  const paths = new Map<Hierarchy, string>();
  for (const entry of parseProcCgroup(procCgroupText)) {
    const hierarchy = layout.hierarchies.find((candidate) =>
      candidate.version === 2
        ? entry.controllers.length === 0
        : entry.controllers.some((name) => candidate.controllers.includes(name)),
    );
    if (hierarchy) paths.set(hierarchy, entry.path);
  }
  return paths;
}

/**
 * Directory of a cgroup, or `undefined` if the mount does not show it.
 *
 * A mount shows what is below its root: with root `/docker` the cgroup `/docker/a` is `<mount>/a`.
 * Seen from a cgroup namespace both may begin with `/..`; these cancel out as far as both have
 * them. Where the mount's root is further up than the path, the names in between are not to be
 * known from here.
 */
export function cgroupDirectory(hierarchy: Hierarchy, path: string, root = ""): string | undefined {
  const shown = names(hierarchy.mountRoot);
  const wanted = names(path);
  for (const name of shown) {
    if (wanted.shift() !== name) return undefined;
  }
  // What is left must go down only: `/..` that the mount's root does not have leads out of it.
  if (wanted.includes("..")) return undefined;
  const directory = root + hierarchy.mountPoint;
  return wanted.length === 0 ? directory : `${directory}/${wanted.join("/")}`;
}

/** Directories from a cgroup up to the mount's top, the cgroup's own first. */
export function cgroupLevels(hierarchy: Hierarchy, path: string, root = ""): string[] {
  const own = cgroupDirectory(hierarchy, path, root);
  if (own === undefined) return [];
  const top = root + hierarchy.mountPoint;
  const levels: string[] = [];
  for (let level = own; level.length > top.length; level = level.slice(0, level.lastIndexOf("/"))) {
    levels.push(level);
  }
  levels.push(top);
  return levels;
}

/**
 * A cgroup's own id within its hierarchy (its inode number), `undefined` if there is none at this
 * path. A cgroup that is removed and made again under the same path gets another one.
 */
export function cgroupId(hierarchy: Hierarchy, path: string, root = ""): number | undefined {
  const directory = cgroupDirectory(hierarchy, path, root);
  return directory === undefined ? undefined : directoryId(directory);
}

/** Inode number of a directory, `undefined` if it does not exist. */
export function directoryId(directory: string): number | undefined {
  const inode = inodeOf(directory);
  return inode < 0 ? undefined : inode;
}

function names(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
