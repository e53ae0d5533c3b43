/**
 * Requests that were taken from the kernel and wait for their turn. They lie in shared memory: any
 * serving thread may take one, and so may the next server, if this one dies. A request is here or in
 * a thread's slot, for a moment in both, never in neither; one that is executed twice does no harm.
 *
 * Form: a page of words (how many wait, how many came), then the entries, each with words of its own
 * before the request.
 */
import type { SharedState } from "./state.ts";

const REGION = "backlog";
const PAGE_BYTES = 4096;
/** How many requests can wait here; more wait in the kernel, in the order in which they came. */
export const BACKLOG_ENTRIES = 256;
const ENTRY_BYTES = 512;
const HEAD_BYTES = 32;
/** Larger requests (writes, long names) are rare and are not put off. */
const REQUEST_BYTES = ENTRY_BYTES - HEAD_BYTES;
const BYTES = PAGE_BYTES + BACKLOG_ENTRIES * ENTRY_BYTES;

const WAITING_COUNT = 0;
const ARRIVALS = 1;
const ENTRY_WORDS = ENTRY_BYTES / 4;
/** Words of an entry; the first is its state. */
const ARRIVAL = 1;
const KEY_LOW = 2;
const KEY_HIGH = 3;
/** Who writes or takes an entry may die over it; `restore` tells what is to become of it then. */
const FREE = 0;
const WRITING = 1;
const WAITS = 2;
const TAKING = 3;

export class Backlog {
  readonly #words: Int32Array;
  readonly #entries: Int32Array;
  readonly #bytes: Buffer;

  constructor(state: SharedState) {
    const { buffer, byteOffset } = state.region(REGION);
    this.#words = new Int32Array(buffer, byteOffset, 16);
    this.#entries = new Int32Array(buffer, byteOffset + PAGE_BYTES, BACKLOG_ENTRIES * ENTRY_WORDS);
    this.#bytes = Buffer.from(buffer, byteOffset + PAGE_BYTES, BACKLOG_ENTRIES * ENTRY_BYTES);
  }

  get isEmpty(): boolean {
    return this.waiting <= 0;
  }

  /** How many requests wait. */
  get waiting(): number {
    return Atomics.load(this.#words, WAITING_COUNT);
  }

  /** Number of the request that has waited longest; 0 if none waits. */
  get oldest(): number {
    let oldest = 0;
    this.each((_entry, _key, arrival) => {
      if (oldest === 0 || arrival - oldest < 0) oldest = arrival;
    });
    return oldest;
  }

  /**
   * Copies a request here.
   * @param key whose it is, below 2^53
   * @returns false if it is too large or there is no room
   */
  put(request: Buffer, key: number): boolean {
    if (request.length > REQUEST_BYTES) return false;
    for (let entry = 0; entry < BACKLOG_ENTRIES; entry++) {
      const at = entry * ENTRY_WORDS;
      if (this.#entries[at] !== FREE) continue;
      if (Atomics.compareExchange(this.#entries, at, FREE, WRITING) !== FREE) continue;
      // Never 0, which stands for none.
      this.#entries[at + ARRIVAL] = Atomics.add(this.#words, ARRIVALS, 1) | 1;
      this.#entries[at + KEY_LOW] = key | 0;
      this.#entries[at + KEY_HIGH] = Math.floor(key / 2 ** 32);
      request.copy(this.#bytes, entry * ENTRY_BYTES + HEAD_BYTES);
      Atomics.add(this.#words, WAITING_COUNT, 1);
      Atomics.store(this.#entries, at, WAITS);
      return true;
    }
    return false;
  }

  /** Tells of each request that waits: where, whose, and its place in the order of arrival. */
  each(visit: (entry: number, key: number, arrival: number) => void): void {
    // The first free entry is taken each time: those that wait lie close together.
    let left = this.waiting;
    for (let entry = 0; left > 0 && entry < BACKLOG_ENTRIES; entry++) {
      const at = entry * ENTRY_WORDS;
      if (this.#entries[at] !== WAITS) continue;
      left--;
      const low = (this.#entries[at + KEY_LOW] ?? 0) >>> 0;
      const key = (this.#entries[at + KEY_HIGH] ?? 0) * 2 ** 32 + low;
      visit(entry, key, this.#entries[at + ARRIVAL] ?? 0);
    }
  }

  /**
   * Hands a request to `keep`, which copies it to where it is executed.
   * @returns false if somebody else has taken it
   */
  take(entry: number, keep: (request: Buffer) => void): boolean {
    const at = entry * ENTRY_WORDS;
    if (Atomics.compareExchange(this.#entries, at, WAITS, TAKING) !== WAITS) return false;
    Atomics.sub(this.#words, WAITING_COUNT, 1);
    const start = entry * ENTRY_BYTES + HEAD_BYTES;
    // A request begins with its own length.
    const length = Math.min(this.#bytes.readUInt32LE(start), REQUEST_BYTES);
    keep(this.#bytes.subarray(start, start + length));
    Atomics.store(this.#entries, at, FREE);
    return true;
  }

  /** After the death of all who worked with it: what they were at is put right. */
  restore(): void {
    let waiting = 0;
    for (let at = 0; at < this.#entries.length; at += ENTRY_WORDS) {
      // Its writer's slot still holds it.
      if (this.#entries[at] === WRITING) this.#entries[at] = FREE;
      if (this.#entries[at] === TAKING) this.#entries[at] = WAITS;
      if (this.#entries[at] === WAITS) waiting++;
    }
    Atomics.store(this.#words, WAITING_COUNT, waiting);
  }
}

/** Sets it aside; main thread only, before workers start. */
export function ensureBacklog(state: SharedState): void {
  state.ensureRegion(REGION, BYTES);
}
