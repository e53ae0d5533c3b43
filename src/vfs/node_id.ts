/**
 * What a FUSE node id means: 64 bits that are a fixed function of the file, so that any thread, and
 * a server that was started a moment ago, knows what is asked for.
 *
 *     bit 63..21  whose: 0 for files that answer by caller, else the key of a container (43 bits)
 *     bit 20..0   which: the file's own number, see the tables that give them
 *
 * JavaScript's numbers end at 53 bits, so both halves of the 64 are kept as 32-bit words.
 */

/** Bits of the file's number. */
const LOCAL_BITS = 21;
const LOCAL_SIZE = 2 ** LOCAL_BITS;
const OWNER_LOW_BITS = 32 - LOCAL_BITS;

/** File numbers are below this. */
export const MAX_LOCAL: number = LOCAL_SIZE - 1;

export function localOf(nodeLow: number): number {
  return nodeLow & (LOCAL_SIZE - 1);
}

/** The container's key, 0 for files that answer by caller. */
export function ownerOf(nodeLow: number, nodeHigh: number): number {
  return nodeHigh * 2 ** OWNER_LOW_BITS + (nodeLow >>> LOCAL_BITS);
}

export function nodeLow(owner: number, local: number): number {
  return (((owner % 2 ** OWNER_LOW_BITS) << LOCAL_BITS) | local) >>> 0;
}

export function nodeHigh(owner: number): number {
  return Math.floor(owner / 2 ** OWNER_LOW_BITS);
}
