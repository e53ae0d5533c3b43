/**
 * What a node id of the cgroup tree means: the hierarchy, the directory by the kernel's own id (its
 * inode number, which is not used again while the machine runs), and the file in it. See
 * vfs/node_id.ts for the id's two parts.
 *
 *     owner (43 bits)   inode number of the cgroup's directory
 *     local (21 bits)   BASE + slot of the hierarchy (5 bits) * 512 + number of the file's name;
 *                       0 is the directory itself
 *
 * `BASE` is the start of what views/tree.ts would give to NUMA nodes 252 to 255.
 */
import { MAX_LOCAL } from "../vfs/node_id.ts";

export interface CgroupNode {
  readonly slot: number;
  /** Inode number of the directory. */
  readonly id: number;
  /** Number of the file's name (names.ts); 0 for the directory. */
  readonly file: number;
}

export const MAX_NAMES = 512;
export const SLOTS = 32;
const BASE = MAX_LOCAL + 1 - SLOTS * MAX_NAMES;

/** Whether this is a node of the cgroup tree. */
export function isCgroupNode(owner: number, local: number): boolean {
  return owner !== 0 && local >= BASE;
}

export function nodeOf(owner: number, local: number): CgroupNode {
  const rest = local - BASE;
  return { slot: Math.floor(rest / MAX_NAMES), id: owner, file: rest % MAX_NAMES };
}

export function localOfNode(slot: number, file: number): number {
  return BASE + slot * MAX_NAMES + file;
}
