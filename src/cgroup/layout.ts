/**
 * How a machine mounts its cgroups, found in a mountinfo text (see host/mountinfo.ts):
 *
 *     35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory        v1
 *     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw             v2
 *
 * A v1 hierarchy is known by the controllers among its superblock options, whatever its directory
 * is called; cgroup2 there is one of.
 */
import { type Mount, parseMountinfo } from "../host/mountinfo.ts";
import type { CgroupMode, Hierarchy } from "./types.ts";

/** All hierarchies of a machine. `hierarchies` keeps the order of the mounts. */
export interface CgroupLayout {
  readonly mode: CgroupMode;
  readonly hierarchies: readonly Hierarchy[];
}

/** Superblock options of cgroup v1 that are no controllers (cgroups(7), kernel/cgroup/cgroup-v1.c). */
const V1_OPTIONS = new Set([
  "rw",
  "ro",
  "none",
  "all",
  "noprefix",
  "clone_children",
  "xattr",
  "cpuset_v2_mode",
  "favordynmods",
  "seclabel",
]);

/**
 * @param mountinfoText the mountinfo of a process that sees the host's mounts
 * @throws ParseError on a malformed text
 */
export function detectLayout(mountinfoText: string): CgroupLayout {
  const byKey = new Map<string, Hierarchy>();
  for (const mount of uncovered(parseMountinfo(mountinfoText))) {
    const hierarchy = toHierarchy(mount);
    if (!hierarchy) continue;
    const key = hierarchy.version === 2 ? "v2" : [...hierarchy.controllers].sort().join();
    const before = byKey.get(key);
    if (!before || better(hierarchy, before)) byKey.set(key, hierarchy);
  }
  const hierarchies = [...byKey.values()];
  return { mode: modeOf(hierarchies), hierarchies };
}

/** The hierarchy a controller is in: the v1 one that has it, else v2's, which may or may not have it. */
export function hierarchyOf(
  hierarchies: Iterable<Hierarchy>,
  controller: string,
): Hierarchy | undefined {
  let unified: Hierarchy | undefined;
  for (const hierarchy of hierarchies) {
    if (hierarchy.version === 2) unified = hierarchy;
    else if (hierarchy.controllers.includes(controller)) return hierarchy;
  }
  return unified;
}

/** A mount hides what was mounted on the same directory before. */
function uncovered(mounts: readonly Mount[]): Mount[] {
  const byPoint = new Map<string, Mount>();
  for (const mount of mounts) {
    byPoint.delete(mount.mountPoint);
    byPoint.set(mount.mountPoint, mount);
  }
  return [...byPoint.values()];
}

function toHierarchy(mount: Mount): Hierarchy | undefined {
  const { mountPoint, root: mountRoot } = mount;
  if (mount.type === "cgroup2") return { version: 2, controllers: [], mountPoint, mountRoot };
  if (mount.type !== "cgroup") return undefined;
  const controllers = mount.superOptions
    .split(",")
    .filter((option) => !V1_OPTIONS.has(option) && !option.startsWith("release_agent="));
  if (controllers.length === 0) return undefined;
  return { version: 1, controllers, mountPoint, mountRoot };
}

/** The same hierarchy can be mounted often (into containers, say): what shows more, and is nearer to the usual place, is better. */
function better(a: Hierarchy, b: Hierarchy): boolean {
  const [rankA, rankB] = [rank(a), rank(b)];
  for (const [i, value] of rankA.entries()) {
    const other = rankB[i] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}

function rank({ mountRoot, mountPoint }: Hierarchy): readonly number[] {
  return [
    // Outside of the own cgroup namespace is above it: `/../..` shows more than `/`.
    -mountRoot.split("/").filter((name) => name === "..").length,
    mountRoot === "/" ? 0 : mountRoot.split("/").length,
    mountPoint.startsWith("/sys/fs/cgroup") ? 0 : 1,
    mountPoint.length,
  ];
}

/**
 * Hybrid is only what has controllers on v1: a lone `name=systemd` beside cgroup2 (some container
 * hosts mount it for old guests) leaves all controllers to v2.
 */
function modeOf(hierarchies: readonly Hierarchy[]): CgroupMode {
  const v2 = hierarchies.some((hierarchy) => hierarchy.version === 2);
  const v1 = hierarchies.some(
    (hierarchy) =>
      hierarchy.version === 1 && hierarchy.controllers.some((name) => !name.startsWith("name=")),
  );
  if (v2) return v1 ? "hybrid" : "v2";
  return v1 || hierarchies.length > 0 ? "v1" : "none";
}
