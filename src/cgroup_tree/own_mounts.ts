/**
 * The cgroup mounts of a process: which parts of the tree it sees anyway, and which of these it may
 * change, so that having them through our tree gives it nothing new.
 *
 *     35 31 0:32 /c1 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
 */
import type { Hierarchy } from "../cgroup/types.ts";
import type { Mount } from "../host/mountinfo.ts";

/** Roots of the mounts of one hierarchy, as the host's cgroups. */
export interface MountRoots {
  /** Of all there are: each is a sign of a container. */
  readonly seen: readonly string[];
  /** Of those that can be reached and are not read-only. */
  readonly writable: readonly string[];
}

export type CgroupMounts = ReadonlyMap<string, MountRoots>;

/** By the superblock's options, which name the controllers; "" for v2. */
export function cgroupMountsOf(mounts: readonly Mount[]): CgroupMounts {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const found = new Map<string, { seen: string[]; writable: string[] }>();
  for (const mount of mounts) {
    if (mount.type !== "cgroup" && mount.type !== "cgroup2") continue;
    const name = mount.type === "cgroup2" ? "" : mount.superOptions;
    const roots = found.get(name) ?? { seen: [], writable: [] };
    found.set(name, roots);
    roots.seen.push(mount.root);
    if (isWritable(mount) && isReachable(mount, mounts, byId)) roots.writable.push(mount.root);
  }
  return found;
}

/** What the server sees itself, as every process of the host, is nobody's part. */
export function rootsOf(mounts: CgroupMounts, hierarchy: Hierarchy): MountRoots {
  const [first = ""] = hierarchy.controllers;
  const isPart = (root: string): boolean => root !== hierarchy.mountRoot;
  const seen: string[] = [];
  const writable: string[] = [];
  for (const [name, each] of mounts) {
    const same = hierarchy.version === 2 ? name === "" : name.split(",").includes(first);
    if (!same) continue;
    seen.push(...each.seen.filter(isPart));
    writable.push(...each.writable.filter(isPart));
  }
  return { seen, writable };
}

function isWritable({ options, superOptions }: Mount): boolean {
  return ![...options.split(","), ...superOptions.split(",")].includes("ro");
}

/** Whether a path leads there: nothing is mounted over it, or over a directory on the way. */
function isReachable(
  mount: Mount,
  mounts: readonly Mount[],
  byId: ReadonlyMap<number, Mount>,
): boolean {
  let from: Mount | undefined;
  for (let step: Mount | undefined = mount; step !== undefined; step = byId.get(step.parentId)) {
    const { id, parentId, mountPoint } = step;
    for (const other of mounts) {
      // On its very root: over the mount itself, or in the way of what is mounted in it.
      if (other.parentId === id && other.mountPoint === mountPoint && other !== from) return false;
      const isBeside = other.parentId === parentId && other !== step;
      if (isBeside && mountPoint.startsWith(`${other.mountPoint}/`)) return false;
    }
    from = step;
  }
  return true;
}
