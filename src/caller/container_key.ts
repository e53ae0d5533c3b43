/**
 * A container's identity: the kernel's id of its cgroup (the inode number of the directory, which is
 * not used again while the machine runs) and the hierarchy it was taken from.
 *
 * As a number it is below 2^42, so that a FUSE node id has room for it beside the file's own number
 * and for a bit that tells the cgroup tree's nodes (cgroup_tree/node.ts). As a name, which is what
 * `containers/<name>/` shows, it is the id alone on cgroup v2 (`14210`) and the controller and the id
 * on v1 (`memory-812`).
 */
import type { Hierarchy } from "../cgroup/types.ts";

declare const brand: unique symbol;
export type ContainerKey = number & { readonly [brand]: "ContainerKey" };

/** Callers in no container: the host itself. */
export const HOST_KEY: ContainerKey = 0 as ContainerKey;

/**
 * Hierarchies that may give a container its identity, best first. The position is part of the key:
 * append only.
 */
const IDENTITY_CONTROLLERS = [
  "",
  "memory",
  "cpu",
  "cpuset",
  "pids",
  "blkio",
  "devices",
  "name=systemd",
] as const;

const SLOTS = IDENTITY_CONTROLLERS.length;
const MAX_CGROUP_ID = 2 ** 39;

/** The slot of a hierarchy, or -1 if it gives no identities. On hybrid hosts v1 controllers come first. */
function slotOf(hierarchy: Hierarchy): number {
  if (hierarchy.version === 2) return 0;
  return IDENTITY_CONTROLLERS.findIndex(
    (name) => name !== "" && hierarchy.controllers.includes(name),
  );
}

/**
 * The hierarchies of a host in the order in which they are asked for a container's identity. On a
 * hybrid host the unified tree comes last: limits are where the controllers are.
 */
export function identityHierarchies(hierarchies: readonly Hierarchy[]): Hierarchy[] {
  const rank = (hierarchy: Hierarchy): number => slotOf(hierarchy) || SLOTS;
  return hierarchies.filter((each) => slotOf(each) >= 0).toSorted((a, b) => rank(a) - rank(b));
}

/** @returns `undefined` for an id too large to be told (after some 120 wraps of the kernel's 32-bit counter) */
export function containerKey(hierarchy: Hierarchy, cgroupId: number): ContainerKey | undefined {
  const slot = slotOf(hierarchy);
  if (slot < 0 || cgroupId <= 0 || cgroupId >= MAX_CGROUP_ID) return undefined;
  return (cgroupId * SLOTS + slot) as ContainerKey;
}

/** The hierarchy and cgroup id behind a key, or `undefined` if this host has no such hierarchy. */
export function splitKey(
  key: ContainerKey,
  hierarchies: readonly Hierarchy[],
): { hierarchy: Hierarchy; cgroupId: number } | undefined {
  const slot = key % SLOTS;
  const hierarchy = hierarchies.find((each) => slotOf(each) === slot);
  return hierarchy && { hierarchy, cgroupId: Math.floor(key / SLOTS) };
}

/** The directory name below `containers/`. */
export function keyToName(key: ContainerKey): string {
  const slot = key % SLOTS;
  const cgroupId = Math.floor(key / SLOTS);
  return slot === 0 ? `${cgroupId}` : `${IDENTITY_CONTROLLERS[slot]}-${cgroupId}`;
}

/** The key of a directory name, or `undefined` if it is not one that `keyToName` gives. */
export function nameToKey(name: string): ContainerKey | undefined {
  const match = /^(?:(.+)-)?([1-9]\d{0,12})$/.exec(name);
  if (!match) return undefined;
  const slot = IDENTITY_CONTROLLERS.indexOf(
    (match[1] ?? "") as (typeof IDENTITY_CONTROLLERS)[number],
  );
  const cgroupId = Number(match[2]);
  if (slot < 0 || cgroupId >= MAX_CGROUP_ID) return undefined;
  return (cgroupId * SLOTS + slot) as ContainerKey;
}
