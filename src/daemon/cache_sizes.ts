/**
 * How much each serving thread keeps, in shared memory: for the main thread, which tells it. Written
 * with every read, which is three stores; summed up over the threads that live.
 */
import { allSlots, MAX_SLOTS } from "./slots.ts";
import type { SharedState } from "./state.ts";

const REGION = "cache-sizes";

/** What a thread keeps: containers with open cgroup files, pid namespaces, containers with texts. */
export const THREAD_CACHES = ["containers", "pid_namespaces", "texts"] as const;
const ROW = THREAD_CACHES.length;

/** Sets the region aside; main thread only, before workers start. */
export function ensureCacheSizes(state: SharedState): void {
  state.ensureRegion(REGION, MAX_SLOTS * ROW * 8);
}

function cellsOf(state: SharedState): Float64Array {
  const { buffer, byteOffset, byteLength } = state.region(REGION);
  return new Float64Array(buffer, byteOffset, byteLength / 8);
}

/** Where one serving thread notes its own. */
export class CacheSizesRow {
  readonly #cells: Float64Array;

  constructor(state: SharedState, slot: number) {
    this.#cells = cellsOf(state)
      .subarray(slot * ROW, (slot + 1) * ROW)
      .fill(0);
  }

  note(containers: number, pidNamespaces: number, texts: number): void {
    this.#cells[0] = containers;
    this.#cells[1] = pidNamespaces;
    this.#cells[2] = texts;
  }
}

/** Entries of each cache, all living threads together. */
export function cacheSizes(state: SharedState): Record<(typeof THREAD_CACHES)[number], number> {
  const cells = cellsOf(state);
  const sizes = { containers: 0, pid_namespaces: 0, texts: 0 };
  for (const slot of allSlots(state)) {
    if (slot.owner === 0) continue;
    for (const [index, cache] of THREAD_CACHES.entries()) {
      sizes[cache] += cells[slot.index * ROW + index] ?? 0;
    }
  }
  return sizes;
}
