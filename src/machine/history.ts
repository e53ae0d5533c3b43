/**
 * What must be remembered of a container between two reads: the kernel keeps no record of how many
 * CPUs a cgroup had when, and no load average of a cgroup. All else is read anew each time.
 *
 * The table lies in memory that all workers and the successor of a killed server share, so that
 * counters go on where they were. It is a set-associative cache: a container has its place in one
 * set of eight, and the one unused for longest gives way, so memory is bounded and nothing is ever
 * searched for.
 */
import { isAlive } from "../host/process_alive.ts";

/** A slot is an array of doubles; these are the positions of its fields. */
export const SLOT = {
  key: 0,
  usedMs: 1,
  // CPU accounting, see cpu_time.ts. Microseconds.
  boottimeUs: 2,
  cpuCount: 3,
  /** The cgroup's own counters when last seen; `usageUs` is user and system together. */
  usageUs: 4,
  niceUs: 5,
  systemUs: 6,
  // Load average, see load.ts.
  loadWantedMs: 7,
  load1: 8,
  load5: 9,
  load15: 10,
  running: 11,
  blocked: 12,
  threads: 13,
  lastPid: 14,
  loadSampledMs: 15,
  /** CPU time of the cgroup when its threads were counted, and when that was, and what it cost. */
  countedUsageUs: 16,
  countedMs: 17,
  countCostMs: 18,
  /** When the container's first process was started, in ticks since boot; 0: no thread has seen it. */
  startTicks: 19,
  /** First of the rows, one a CPU. */
  rows: 24,
} as const;

/** Fields of one CPU's row. */
export const ROW = {
  userUs: 0,
  niceUs: 1,
  systemUs: 2,
  idleUs: 3,
  /** How long this CPU has been the container's. */
  elapsedUs: 4,
  /** Which CPU of the host it stood for, and that one's counters when last seen. */
  hostCpu: 5,
  seenUs: 6,
  seenSystemUs: 7,
} as const;

const ROW_DOUBLES = 8;
const WAYS = 8;
/** Doubles a slot has in the directory: its key, and when it was last used. */
const DIRECTORY_DOUBLES = 2;
/** A lock is held for microseconds. After this it is asked whether its holder lives... */
const ASK_HOLDER_MS = 5;
/** ...and after this it is taken all the same: a reader must not wait for ever. */
const STALE_LOCK_MS = 500;

/** How large a region `slots` containers need on a machine of `cpus` CPUs. */
export function historyBytes(slots: number, cpus: number): number {
  return slots * (4 + DIRECTORY_DOUBLES * 8 + slotDoubles(cpus) * 8);
}

function slotDoubles(cpus: number): number {
  return SLOT.rows + cpus * ROW_DOUBLES;
}

/** Start of the row of CPU `number` within a slot. */
export function rowStart(number: number): number {
  return SLOT.rows + number * ROW_DOUBLES;
}

export class HistoryTable {
  readonly #locks: Int32Array;
  /** Apart from the slots, so that looking for a container touches no page of another's slot. */
  readonly #directory: Float64Array;
  readonly #slots: Float64Array[] = [];
  readonly #sets: number;
  readonly maxCpus: number;

  /** @param region shared memory of `historyBytes(slots, cpus)`, zeros at first; 8-byte aligned */
  constructor(region: ArrayBufferLike, byteOffset: number, slots: number, cpus: number) {
    const doubles = slotDoubles(cpus);
    for (let index = 0; index < slots; index++) {
      this.#slots.push(new Float64Array(region, byteOffset + index * doubles * 8, doubles));
    }
    const directoryAt = byteOffset + slots * doubles * 8;
    this.#directory = new Float64Array(region, directoryAt, slots * DIRECTORY_DOUBLES);
    const locksAt = directoryAt + slots * DIRECTORY_DOUBLES * 8;
    this.#locks = new Int32Array(region, locksAt, slots);
    this.#sets = Math.max(1, Math.floor(slots / WAYS));
    this.maxCpus = cpus;
  }

  /** How many containers are remembered. */
  count(): number {
    let count = 0;
    for (let at = 0; at < this.#directory.length; at += DIRECTORY_DOUBLES) {
      if (this.#directory[at] !== 0) count++;
    }
    return count;
  }

  /**
   * Runs `use` on the container's slot while no other thread or process does. `use` must not read
   * files. A slot that was not the container's before is all zeros but for its key.
   */
  with<T>(key: number, nowMs: number, use: (slot: Float64Array) => T): T {
    const index = this.#find(key);
    this.#lock(index);
    try {
      const slot = this.#slots[index] as Float64Array;
      if (slot[SLOT.key] !== key) {
        slot.fill(0);
        slot[SLOT.key] = key;
      }
      slot[SLOT.usedMs] = nowMs;
      this.#directory[index * DIRECTORY_DOUBLES] = key;
      this.#directory[index * DIRECTORY_DOUBLES + 1] = nowMs;
      return use(slot);
    } finally {
      Atomics.compareExchange(this.#locks, index, process.pid, 0);
    }
  }

  /** Every slot in use, for the load sampler and the overview of containers. Read without a lock. */
  *used(): Generator<Float64Array> {
    for (const [index, slot] of this.#slots.entries()) {
      if (this.#directory[index * DIRECTORY_DOUBLES] !== 0) yield slot;
    }
  }

  #find(key: number): number {
    // Cgroup ids count up: the low bits alone spread them evenly.
    const first = (Math.floor(key / 8) % this.#sets) * WAYS;
    const end = Math.min(first + WAYS, this.#slots.length);
    let oldest = first;
    let oldestMs = Infinity;
    for (let index = first; index < end; index++) {
      const found = this.#directory[index * DIRECTORY_DOUBLES] ?? 0;
      if (found === key) return index;
      const usedMs = found === 0 ? -1 : (this.#directory[index * DIRECTORY_DOUBLES + 1] ?? 0);
      if (usedMs < oldestMs) [oldest, oldestMs] = [index, usedMs];
    }
    return oldest;
  }

  /** The lock holds its holder's process id: one that was killed with a lock in hand is found out. */
  #lock(index: number): void {
    const own = process.pid;
    let holder = Atomics.compareExchange(this.#locks, index, 0, own);
    if (holder === 0) return;
    const startMs = performance.now();
    let asked = false;
    while (holder !== 0) {
      const waitedMs: number = performance.now() - startMs;
      const ask: boolean = !asked && waitedMs > ASK_HOLDER_MS;
      if (waitedMs > STALE_LOCK_MS || (ask && !isAlive("/proc", holder))) {
        if (Atomics.compareExchange(this.#locks, index, holder, own) === holder) return;
      }
      asked ||= ask;
      holder = Atomics.compareExchange(this.#locks, index, 0, own);
    }
  }
}
