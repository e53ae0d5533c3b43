/**
 * Pages that the kernel's cache was given and that must be taken back when their time is over.
 *
 * The list lies in shared memory, and an entry is made before the kernel gets the page: a server
 * that is killed in between leaves its successor the knowledge of what may be in the cache. One
 * thread serves and adds, another waits and invalidates: the kernel may make an invalidation wait
 * for a read of the same file, which only the serving thread can answer.
 */

/** Entries of the ring: at ten milliseconds each, room for 400,000 pages a second. */
const ENTRIES = 4096;
const ENTRY_DOUBLES = 4;
const HEAD_BYTES = 64;

/** Words of the head. */
const HEAD = { next: 0, first: 1, asleep: 2, lock: 3 } as const;
/** Fields of an entry. */
const FIELD = { state: 0, low: 1, high: 2, dueMs: 3 } as const;

/** States of an entry. */
const EMPTY = 0;
/** The page is about to be given: not to be invalidated yet, or the invalidation would come first. */
const ANNOUNCED = 1;
const GIVEN = 2;

/** Held for as long as it takes to write an entry; one held longer belonged to a server that was killed. */
const STALE_LOCK_MS = 5;
/** An entry announced for so long belongs to a thread that is stuck or dead. */
const ABANDONED_MS = 5000;

export const INVALIDATIONS_BYTES: number = HEAD_BYTES + ENTRIES * ENTRY_DOUBLES * 8;

export class Invalidations {
  readonly #head: Int32Array;
  readonly #entries: Float64Array;

  /** @param region shared memory of INVALIDATIONS_BYTES, zeros at first */
  constructor(region: ArrayBufferLike, byteOffset: number) {
    this.#head = new Int32Array(region, byteOffset, HEAD_BYTES / 4);
    this.#entries = new Float64Array(region, byteOffset + HEAD_BYTES, ENTRIES * ENTRY_DOUBLES);
  }

  /**
   * Says that a page of this node is about to be given to the kernel.
   * @returns the entry's ticket, or -1 if there is no room: then the page must not be given
   */
  announce(nodeLow: number, nodeHigh: number, nowMs: number): number {
    // During an upgrade two servers announce.
    this.#lock();
    const ticket = this.#announce(nodeLow, nodeHigh, nowMs);
    Atomics.store(this.#head, HEAD.lock, 0);
    return ticket;
  }

  #lock(): void {
    if (Atomics.compareExchange(this.#head, HEAD.lock, 0, 1) === 0) return;
    const startMs = performance.now();
    while (Atomics.compareExchange(this.#head, HEAD.lock, 0, 1) !== 0) {
      if (performance.now() - startMs > STALE_LOCK_MS) return;
    }
  }

  #announce(nodeLow: number, nodeHigh: number, nowMs: number): number {
    const ticket = Atomics.load(this.#head, HEAD.next);
    const at = entryAt(ticket);
    if (this.#entries[at + FIELD.state] !== EMPTY) return -1;
    this.#entries[at + FIELD.low] = nodeLow;
    this.#entries[at + FIELD.high] = nodeHigh;
    this.#entries[at + FIELD.dueMs] = nowMs + ABANDONED_MS;
    this.#entries[at + FIELD.state] = ANNOUNCED;
    Atomics.store(this.#head, HEAD.next, ticket + 1);
    return ticket;
  }

  /**
   * Says that the page was given, and when it is to be taken back.
   * @returns whether the invalidating thread sleeps and must be woken
   */
  given(ticket: number, dueMs: number): boolean {
    const at = entryAt(ticket);
    this.#entries[at + FIELD.dueMs] = dueMs;
    this.#entries[at + FIELD.state] = GIVEN;
    return Atomics.exchange(this.#head, HEAD.asleep, 0) === 1;
  }

  /**
   * Hands over what is due, oldest first.
   * @param all also what is not due yet or was never given: after a takeover nobody knows
   * @returns milliseconds until the next one is due; Infinity if there is none
   */
  takeDue(nowMs: number, take: (nodeLow: number, nodeHigh: number) => void, all = false): number {
    const next = Atomics.load(this.#head, HEAD.next);
    let first = Atomics.load(this.#head, HEAD.first);
    let soonestMs = Infinity;
    for (let ticket = first; ticket !== next; ticket = (ticket + 1) | 0) {
      const at = entryAt(ticket);
      const state = this.#entries[at + FIELD.state];
      const leftMs = (this.#entries[at + FIELD.dueMs] ?? 0) - nowMs;
      if (state !== EMPTY && (all || leftMs <= 0)) {
        take(this.#entries[at + FIELD.low] ?? 0, this.#entries[at + FIELD.high] ?? 0);
        this.#entries[at + FIELD.state] = EMPTY;
      } else if (state === GIVEN) soonestMs = Math.min(soonestMs, leftMs);
      else if (state === ANNOUNCED) soonestMs = Math.min(soonestMs, 1);
      if (ticket === first && this.#entries[at + FIELD.state] === EMPTY) first = (first + 1) | 0;
    }
    Atomics.store(this.#head, HEAD.first, first);
    return soonestMs;
  }

  /** Whether nothing is to be taken back. */
  isEmpty(): boolean {
    return Atomics.load(this.#head, HEAD.first) === Atomics.load(this.#head, HEAD.next);
  }

  /** To be called before sleeping without a limit; `given` then asks to be woken. @returns whether there is still nothing to do */
  fallAsleep(): boolean {
    Atomics.store(this.#head, HEAD.asleep, 1);
    return this.isEmpty();
  }
}

function entryAt(ticket: number): number {
  return (ticket & (ENTRIES - 1)) * ENTRY_DOUBLES;
}
