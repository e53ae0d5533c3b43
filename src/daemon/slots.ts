/**
 * In-flight slots: each serving thread reads its requests straight into a piece of shared memory.
 *
 * The kernel copies a request into the reader's buffer before it counts it as taken, so there is no
 * moment at which a request has left the kernel's queue and is in no slot: whoever dies, at whatever
 * instruction, leaves the raw bytes of every unanswered request to its successor, which executes them
 * again. This needs no help from the kernel and works on every version (FUSE_NOTIFY_RESEND exists
 * from 6.9 only). All requests served here can be executed twice: reads, lookups, and writes that set
 * a value.
 *
 * Form of a slot: a page of words (owner, stop flag), then the buffer, which begins with the
 * request's own length (`fuse_in_header.len`). Length 0 means nothing is in flight. The serving thread
 * zeroes it before each read, which is all that a request pays for this.
 */
import type { SharedState } from "./state.ts";

const REGION = "slots";
const SLOT_COUNT = 32;
const PAGE_BYTES = 4096;
/** Largest request that can be read: a write of 64 KiB and its headers. */
export const SLOT_BUFFER_BYTES: number = (64 << 10) + PAGE_BYTES;
const SLOT_BYTES = PAGE_BYTES + SLOT_BUFFER_BYTES;

/** Pages of a buffer that are made present at once: requests of more than that are rare. */
const PREFAULT_BYTES = 2 * PAGE_BYTES;

const OWNER_WORD = 0;
const STOP_WORD = 1;
const ATTEMPTS_WORD = 2;
const CONNECTION_WORD = 3;

/** Which connection a thread serves: the files that answer by caller, or those that are cached. */
export const CONNECTIONS = ["main", "cached"] as const;
export type Connection = (typeof CONNECTIONS)[number];

export const MAX_SLOTS: number = SLOT_COUNT;

/** One serving thread's place. */
export class Slot {
  readonly index: number;
  /** Where requests are read to. */
  readonly buffer: Buffer;
  readonly #words: Int32Array;
  readonly #header: Int32Array;

  constructor(state: SharedState, index: number) {
    const region = state.region(REGION);
    const at = region.byteOffset + index * SLOT_BYTES;
    this.index = index;
    this.#words = new Int32Array(region.buffer, at, 16);
    this.#header = new Int32Array(region.buffer, at + PAGE_BYTES, 4);
    this.buffer = Buffer.from(region.buffer, at + PAGE_BYTES, SLOT_BUFFER_BYTES);
  }

  /** Generation of the server that owns this slot; 0 if nobody does. */
  get owner(): number {
    return Atomics.load(this.#words, OWNER_WORD);
  }

  /** Where its requests come from. */
  get connection(): Connection {
    return CONNECTIONS[Atomics.load(this.#words, CONNECTION_WORD)] ?? "main";
  }

  /** Whether its thread should end instead of reading another request. */
  get stopping(): boolean {
    // A plain look, at each request: that it is told one request later is soon enough.
    return this.#words[STOP_WORD] !== 0;
  }

  /** Whether a request was read and is not answered. */
  get busy(): boolean {
    return Atomics.load(this.#header, 0) !== 0;
  }

  /** Distinguishes one request from the next in the same slot. */
  get unique(): bigint {
    return this.buffer.readBigUInt64LE(8);
  }

  /** Length of the request in flight, in bytes. */
  get requestBytes(): number {
    return Math.min(Math.max(this.#header[0] ?? 0, 0), SLOT_BUFFER_BYTES);
  }

  /** The raw request in flight. */
  request(): Buffer {
    return this.buffer.subarray(0, this.requestBytes);
  }

  /** Forgets the request in flight: it has been answered. */
  clear(): void {
    Atomics.store(this.#header, 0, 0);
  }

  /**
   * Takes a free slot for a thread of server `generation`. The buffer's first pages are touched: a
   * page fault while the kernel copies a request for a thread that is being killed would fail the
   * request instead of leaving it in the slot.
   * @returns false if somebody else was quicker
   */
  take(generation: number, connection: Connection): boolean {
    if (Atomics.compareExchange(this.#words, OWNER_WORD, 0, generation) !== 0) return false;
    Atomics.store(this.#words, CONNECTION_WORD, CONNECTIONS.indexOf(connection));
    Atomics.store(this.#words, STOP_WORD, 0);
    for (let at = 0; at < PREFAULT_BYTES; at += PAGE_BYTES) this.buffer[at] = 0;
    this.clear();
    return true;
  }

  /** Puts a raw request into this slot. Its length, which begins it, comes last: then it counts. */
  put(request: Buffer): void {
    request.copy(this.buffer, 4, 4);
    Atomics.store(this.#header, 0, request.length);
  }

  /**
   * Makes the slot of a dead thread ours, its request with it.
   * @returns how often this request has been inherited, this time included: a request that kills
   * whoever executes it must not be tried for ever
   */
  adopt(generation: number): number {
    Atomics.store(this.#words, OWNER_WORD, generation);
    Atomics.store(this.#words, STOP_WORD, 0);
    return Atomics.add(this.#words, ATTEMPTS_WORD, 1) + 1;
  }

  /** Tells the owning thread to end when it next looks. */
  stop(): void {
    Atomics.store(this.#words, STOP_WORD, 1);
  }

  /** Gives the slot back. */
  release(): void {
    this.clear();
    Atomics.store(this.#words, ATTEMPTS_WORD, 0);
    Atomics.store(this.#words, OWNER_WORD, 0);
  }
}

/** Sets the slots aside; main thread only, before workers start. */
export function ensureSlots(state: SharedState): void {
  state.ensureRegion(REGION, SLOT_COUNT * SLOT_BYTES);
}

/** All slots. */
export function allSlots(state: SharedState): Slot[] {
  return Array.from({ length: SLOT_COUNT }, (_, index) => new Slot(state, index));
}

/** Takes any free slot for server `generation`; nothing if all are taken. */
export function takeSlot(
  state: SharedState,
  generation: number,
  connection: Connection = "main",
): Slot | undefined {
  return allSlots(state).find((slot) => slot.owner === 0 && slot.take(generation, connection));
}
