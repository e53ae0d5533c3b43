/**
 * What must be remembered of a container between two reads: the kernel keeps no record of how many
 * CPUs a cgroup had when, and no load average of a cgroup. All else is read anew each time.
 *
 * The table lies in memory that all workers and the successor of a killed server share, so that
 * counters go on where they were. It is a set-associative cache: a container has its place in one
 * set of eight, and the one unused for longest gives way, so memory is bounded and nothing is ever
 * searched for.
 */

/** A slot is an array of doubles; these are the positions of its fields. */
export const SLOT = {
  key: 0,
  usedMs: 1,
  // CPU accounting, see cpu_time.ts. Microseconds.
  boottimeUs: 2,
  cpuCount: 3,
  userUs: 4,
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
  seenUserUs: 6,
  seenSystemUs: 7,
} as const;

const ROW_DOUBLES = 8;
const WAYS = 8;
/** A lock is held for microseconds; one that is held longer belonged to a server that was killed. */
const STALE_LOCK_MS = 5;

/** How large a region `slots` containers need on a machine of `cpus` CPUs. */
export function historyBytes(slots: number, cpus: number): number {
  return slots * 4 + slots * slotDoubles(cpus) * 8;
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
  readonly #slots: Float64Array[] = [];
  readonly #sets: number;
  readonly maxCpus: number;

  /** @param region shared memory of `historyBytes(slots, cpus)`, zeros at first; 8-byte aligned */
  constructor(region: ArrayBufferLike, byteOffset: number, slots: number, cpus: number) {
    const doubles = slotDoubles(cpus);
    const slotsOffset = byteOffset;
    this.#locks = new Int32Array(region, slotsOffset + slots * doubles * 8, slots);
    for (let index = 0; index < slots; index++) {
      this.#slots.push(new Float64Array(region, slotsOffset + index * doubles * 8, doubles));
    }
    this.#sets = Math.max(1, Math.floor(slots / WAYS));
    this.maxCpus = cpus;
  }

  /**
   * Runs `use` on the container's slot while no other thread or process does. `use` must not read
   * files or throw. A slot that was not the container's before is all zeros but for its key.
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
      return use(slot);
    } finally {
      Atomics.store(this.#locks, index, 0);
    }
  }

  /** Every slot in use, for the load sampler and the overview of containers. Read without a lock. */
  *used(): Generator<Float64Array> {
    for (const slot of this.#slots) if (slot[SLOT.key] !== 0) yield slot;
  }

  #find(key: number): number {
    // Cgroup ids count up: the low bits alone spread them evenly.
    const first = (Math.floor(key / 8) % this.#sets) * WAYS;
    let oldest = first;
    for (let index = first; index < first + WAYS && index < this.#slots.length; index++) {
      const slot = this.#slots[index] as Float64Array;
      if (slot[SLOT.key] === key) return index;
      if ((slot[SLOT.usedMs] ?? 0) < (this.#slots[oldest]?.[SLOT.usedMs] ?? 0)) oldest = index;
    }
    return oldest;
  }

  #lock(index: number): void {
    if (Atomics.compareExchange(this.#locks, index, 0, 1) === 0) return;
    const startMs = performance.now();
    while (Atomics.compareExchange(this.#locks, index, 0, 1) !== 0) {
      if (performance.now() - startMs > STALE_LOCK_MS) return;
    }
  }
}
