/**
 * Which containers read most, in shared memory, so that the counts outlive a server. Each serving
 * thread counts in a row of its own slot: one look into a map and one addition a read.
 *
 * A row has room for few containers; when it is full, the one with the fewest reads makes room
 * ("space-saving" counters, Metwally et al. 2005): whoever reads often is never missed, whoever reads
 * now and then may be counted from anew.
 */
import { MAX_SLOTS } from "./slots.ts";
import type { SharedState } from "./state.ts";

const REGION = "top-readers";
/** Containers that one thread counts at once. */
const ROOM = 128;
/** Key, count (with what was taken over from the one that made room), and that part of it. */
const CELLS = 3;
const ROW = ROOM * CELLS;

/** Sets the region aside; main thread only, before workers start. */
export function ensureTopReaders(state: SharedState): void {
  state.ensureRegion(REGION, MAX_SLOTS * ROW * 8);
}

function cellsOf(state: SharedState): Float64Array {
  const { buffer, byteOffset, byteLength } = state.region(REGION);
  return new Float64Array(buffer, byteOffset, byteLength / 8);
}

/** Where one serving thread counts. */
export class ReaderRow {
  readonly #cells: Float64Array;
  readonly #places = new Map<number, number>();

  constructor(state: SharedState, slot: number) {
    this.#cells = cellsOf(state).subarray(slot * ROW, (slot + 1) * ROW);
    for (let at = 0; at < ROW; at += CELLS) {
      const key = this.#cells[at] ?? 0;
      if (key !== 0) this.#places.set(key, at);
    }
  }

  /** One read by the container of `key`; 0, which is the host, is not counted. */
  count(key: number): void {
    if (key === 0) return;
    const at = this.#places.get(key) ?? this.#place(key);
    this.#cells[at + 1]! += 1;
  }

  #place(key: number): number {
    let least = 0;
    for (let at = CELLS; at < ROW; at += CELLS) {
      if ((this.#cells[at + 1] ?? 0) < (this.#cells[least + 1] ?? 0)) least = at;
    }
    this.#places.delete(this.#cells[least] ?? 0);
    this.#cells[least + 2] = this.#cells[least + 1] ?? 0;
    this.#cells[least] = key;
    this.#places.set(key, least);
    return least;
  }
}

/** Reads by container's key since it was last counted from anew, most first. */
export function topReaders(state: SharedState): [number, number][] {
  const cells = cellsOf(state);
  const reads = new Map<number, number>();
  for (let at = 0; at < cells.length; at += CELLS) {
    const key = cells[at] ?? 0;
    if (key === 0) continue;
    const own = (cells[at + 1] ?? 0) - (cells[at + 2] ?? 0);
    reads.set(key, (reads.get(key) ?? 0) + own);
  }
  return [...reads].sort(([, a], [, b]) => b - a);
}
