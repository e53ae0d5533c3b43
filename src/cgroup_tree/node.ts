/**
 * What a node id of the cgroup tree means. See vfs/node_id.ts for the id's two parts.
 *
 *     owner (43 bits)   2^42 + the kernel's own id of a cgroup: its directory's inode number, which is
 *                       not used again while the machine runs
 *     local (21 bits)   slot of the hierarchy (5), a depth (7), number of a file's name (9)
 *
 * No two callers share a directory that has entries which one of them must not know of: the kernel
 * tells who watches a directory of everything that happens to its entries, and asks nobody. So the id
 * says who sees it, too:
 *
 *     own and below     the cgroup itself, and how deep the topmost cgroup of its viewer is: which one
 *                       that is follows, since it is above or the same
 *     above             the viewer's topmost cgroup, and how deep the directory above it is
 */
import { MAX_LOCAL } from "../vfs/node_id.ts";

export interface CgroupNode {
  readonly slot: number;
  /** Own and below: the cgroup. Above: the viewer's topmost one. */
  readonly id: number;
  /** Own and below: that of the viewer's topmost cgroup. Above: the directory's. The topmost has 0. */
  readonly depth: number;
  /** Number of the file's name (names.ts); 0 for the directory, `ABOVE` for one above. */
  readonly file: number;
}

/** Names have numbers below this. */
export const MAX_NAMES = 511;
/** In place of a name's number: the directory is above what its viewer has of its own. */
export const ABOVE = 511;
/** What a viewer sees who has nothing of its own: a topmost directory without entries. */
export const NOTHING_DEPTH = 127;
/** Directories this deep and deeper are not shown to whom they are above. */
export const MAX_DEPTH: number = NOTHING_DEPTH;
export const SLOTS = 32;
const FILES = 512;
const DEPTHS = 128;
/** Containers' keys are below this (caller/container_key.ts). */
const TREE = 2 ** 42;

if (SLOTS * DEPTHS * FILES !== MAX_LOCAL + 1) throw new Error("Cannot number the cgroup tree");

/** Whether this is a node of the cgroup tree, by its owner. */
export function isCgroupNode(owner: number): boolean {
  return owner >= TREE;
}

export function nodeOf(owner: number, local: number): CgroupNode {
  return {
    slot: Math.floor(local / (DEPTHS * FILES)),
    id: owner - TREE,
    depth: Math.floor(local / FILES) % DEPTHS,
    file: local % FILES,
  };
}

export function ownerOfNode({ id }: CgroupNode): number {
  return TREE + id;
}

/** Viewers deeper than can be told share their nodes. */
export function localOfNode({ slot, depth, file }: CgroupNode): number {
  return (slot * DEPTHS + Math.min(depth, DEPTHS - 1)) * FILES + file;
}
