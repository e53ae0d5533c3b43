/**
 * Counts of requests by file and result, and how long they took, in shared memory: they go on across
 * restarts and upgrades. Each serving thread counts in the rows of its own slot, so that counting is
 * a plain addition; a reader adds the rows up.
 */
import type { SharedState } from "./state.ts";
import { MAX_SLOTS } from "./slots.ts";

const COUNTS = "counts";
const NAMES = "count-names";
const LATENCY = "latency";

const MAX_FILES = 64;
/** A word that says whether the name is there, then the name. */
const NAME_BYTES = 48;
const UNNAMED = 0;
const CLAIMED = 1;
const NAMED = 2;

/**
 * How a request ended: `ok`, `error` (an errno nobody expects, such as EIO), `expected` (an errno
 * that is an answer, such as ENOENT), `late` (past the deadline, answered by the watchdog).
 */
export const RESULTS = ["ok", "error", "expected", "late"] as const;
export type Result = (typeof RESULTS)[number];

const RESULT_PLACE: Readonly<Record<Result, number>> = { ok: 0, error: 1, expected: 2, late: 3 };

/** Upper bounds of the latency buckets in microseconds: powers of two from 4 us to 8.4 s, then the rest. */
export const LATENCY_BOUNDS_US: readonly number[] = Array.from({ length: 22 }, (_, i) => 4 << i);
const LATENCY_ROW = 32;
const LATENCY_SUM = 30;

/** Requests of one file by result. */
export type FileCounts = Record<Result, number>;

/** Latency of all requests together; `counts` has one entry more than the bounds. */
export interface Latency {
  readonly counts: readonly number[];
  readonly sumUs: number;
}

/** Sets the regions aside; main thread only, before workers start. */
export function ensureCounters(state: SharedState): void {
  state.ensureRegion(COUNTS, MAX_SLOTS * MAX_FILES * RESULTS.length * 8);
  state.ensureRegion(NAMES, MAX_FILES * NAME_BYTES);
  state.ensureRegion(LATENCY, MAX_SLOTS * LATENCY_ROW * 8);
}

/** Adds up the rows of all threads, and gives each file its place in them. */
export class Counters {
  readonly #counts: Float64Array;
  readonly #latency: Float64Array;
  readonly #names: Buffer;
  readonly #claims: Int32Array;

  constructor(state: SharedState) {
    const counts = state.region(COUNTS);
    const latency = state.region(LATENCY);
    const names = state.region(NAMES);
    this.#counts = new Float64Array(counts.buffer, counts.byteOffset, counts.byteLength / 8);
    this.#latency = new Float64Array(latency.buffer, latency.byteOffset, latency.byteLength / 8);
    this.#names = Buffer.from(names.buffer, names.byteOffset, names.byteLength);
    this.#claims = new Int32Array(names.buffer, names.byteOffset, names.byteLength / 4);
  }

  /**
   * Number of `file` in the table; a new name is given the next one. Threads of two servers may do
   * that at once, so a place is claimed before it is named. When the table is full, or who claimed a
   * place died over it, the last place counts.
   */
  place(file: string): number {
    for (let index = 0; index < MAX_FILES - 1; index++) {
      const word = (index * NAME_BYTES) / 4;
      const claim = Atomics.compareExchange(this.#claims, word, UNNAMED, CLAIMED);
      if (claim === UNNAMED) {
        this.#names.write(file, index * NAME_BYTES + 4, NAME_BYTES - 5, "latin1");
        Atomics.store(this.#claims, word, NAMED);
        return index;
      }
      for (let turn = 0; turn < 1e5 && Atomics.load(this.#claims, word) !== NAMED; turn++);
      if (this.#name(index) === file) return index;
    }
    return MAX_FILES - 1;
  }

  /** The row of one serving thread. */
  row(slot: number): CounterRow {
    const width = MAX_FILES * RESULTS.length;
    return new CounterRow(
      this.#counts.subarray(slot * width, (slot + 1) * width),
      this.#latency.subarray(slot * LATENCY_ROW, (slot + 1) * LATENCY_ROW),
    );
  }

  /** Requests by file and result; files never asked for are left out. */
  byFile(): Map<string, FileCounts> {
    const files = new Map<string, FileCounts>();
    for (let index = 0; index < MAX_FILES; index++) {
      const name = this.#name(index) || "others";
      const sums = RESULTS.map((_, result) => this.#sum(index * RESULTS.length + result));
      if (sums.every((sum) => sum === 0)) continue;
      const [ok = 0, error = 0, expected = 0, late = 0] = sums;
      files.set(name, { ok, error, expected, late });
    }
    return files;
  }

  latency(): Latency {
    const counts = Array<number>(LATENCY_BOUNDS_US.length + 1).fill(0);
    let sumUs = 0;
    for (let slot = 0; slot < MAX_SLOTS; slot++) {
      const row = slot * LATENCY_ROW;
      for (let i = 0; i < counts.length; i++) counts[i]! += this.#latency[row + i] ?? 0;
      sumUs += this.#latency[row + LATENCY_SUM] ?? 0;
    }
    return { counts, sumUs };
  }

  /** Empty for a place without a name. */
  #name(index: number): string {
    const at = index * NAME_BYTES;
    if (this.#names.readInt32LE(at) !== NAMED) return "";
    const end = this.#names.indexOf(0, at + 4);
    return this.#names.toString("latin1", at + 4, Math.min(end, at + NAME_BYTES));
  }

  #sum(cell: number): number {
    const width = MAX_FILES * RESULTS.length;
    let sum = 0;
    for (let slot = 0; slot < MAX_SLOTS; slot++) sum += this.#counts[slot * width + cell] ?? 0;
    return sum;
  }
}

/** Where one thread counts. */
export class CounterRow {
  readonly #counts: Float64Array;
  readonly #latency: Float64Array;

  constructor(counts: Float64Array, latency: Float64Array) {
    this.#counts = counts;
    this.#latency = latency;
  }

  /** One request for the file of `place` ended with `result`. */
  count(place: number, result: Result): void {
    this.#counts[place * RESULTS.length + RESULT_PLACE[result]]! += 1;
  }

  /** One request took `us` microseconds. */
  took(us: number): void {
    // Number of the power of two at or above us, counted from 4.
    const bucket = us <= 4 ? 0 : 32 - Math.clz32((Math.ceil(us) - 1) >> 2);
    this.#latency[Math.min(bucket, LATENCY_BOUNDS_US.length)]! += 1;
    this.#latency[LATENCY_SUM]! += us;
  }
}
