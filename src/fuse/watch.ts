/**
 * What a session is doing right now, in shared memory: another thread or process can see an
 * operation that takes too long and answer in its stead (`Answerer` in `answer.ts`; the late answer
 * is then refused by the kernel with ENOENT, which a session takes in its stride).
 *
 * A slot is `WATCH_WORDS` 32-bit words. `SEQUENCE` is odd while an operation runs.
 */

/** Words of a slot. */
export const Watch = {
  SEQUENCE: 0,
  UNIQUE_LOW: 1,
  UNIQUE_HIGH: 2,
  OPCODE: 3,
  NODEID_LOW: 4,
  NODEID_HIGH: 5,
  /** CLOCK_MONOTONIC in milliseconds, modulo 2^32: an age is `(nowMs - started) | 0`. */
  STARTED_MS: 6,
  PID: 7,
  FH_LOW: 8,
  FH_HIGH: 9,
  OFFSET_LOW: 10,
  OFFSET_HIGH: 11,
  SIZE: 12,
} as const;

/** Words that one slot takes in an Int32Array. */
export const WATCH_WORDS = 16;

/** The running operation of a session, copied out of its slot. */
export interface WatchedOperation {
  sequence: number;
  uniqueLow: number;
  uniqueHigh: number;
  opcode: number;
  nodeId: number;
  nodeLow: number;
  nodeHigh: number;
  ageMs: number;
  pid: number;
  /** These three belong to operations that carry them (READ); otherwise they are left over. */
  fh: number;
  offset: number;
  size: number;
}

/** What of a request a slot shows. */
export interface WatchedRequest {
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  readonly opcode: number;
  readonly nodeLow: number;
  readonly nodeHigh: number;
  readonly pid: number;
  readonly fh: number;
  readonly offset: number;
  readonly size: number;
}

/** Writes the slot as an operation begins. */
export function watchBegin(slot: Int32Array, request: WatchedRequest, nowMs: number): void {
  slot[Watch.UNIQUE_LOW] = request.uniqueLow;
  slot[Watch.UNIQUE_HIGH] = request.uniqueHigh;
  slot[Watch.OPCODE] = request.opcode;
  slot[Watch.NODEID_LOW] = request.nodeLow;
  slot[Watch.NODEID_HIGH] = request.nodeHigh;
  slot[Watch.STARTED_MS] = nowMs;
  slot[Watch.PID] = request.pid;
  slot[Watch.FH_LOW] = request.fh;
  slot[Watch.FH_HIGH] = request.fh / 0x100000000;
  slot[Watch.OFFSET_LOW] = request.offset;
  slot[Watch.OFFSET_HIGH] = request.offset / 0x100000000;
  slot[Watch.SIZE] = request.size;
  Atomics.store(slot, Watch.SEQUENCE, ((slot[Watch.SEQUENCE] ?? 0) + 1) | 1);
}

/** Clears the slot: the operation is over and answered. */
export function watchEnd(slot: Int32Array): void {
  Atomics.store(slot, Watch.SEQUENCE, ((slot[Watch.SEQUENCE] ?? 0) + 1) & ~1);
}

/** The operation under way in `slot`, or `undefined` if there is none or it changed meanwhile. */
export function watchRead(slot: Int32Array, nowMs: number): WatchedOperation | undefined {
  const sequence = Atomics.load(slot, Watch.SEQUENCE);
  if ((sequence & 1) === 0) return undefined;
  const word = (index: number): number => Atomics.load(slot, index) >>> 0;
  const operation: WatchedOperation = {
    sequence,
    uniqueLow: word(Watch.UNIQUE_LOW),
    uniqueHigh: word(Watch.UNIQUE_HIGH),
    opcode: word(Watch.OPCODE),
    nodeId: word(Watch.NODEID_LOW) + word(Watch.NODEID_HIGH) * 0x100000000,
    nodeLow: word(Watch.NODEID_LOW),
    nodeHigh: word(Watch.NODEID_HIGH),
    ageMs: ((nowMs | 0) - Atomics.load(slot, Watch.STARTED_MS)) | 0,
    pid: word(Watch.PID),
    fh: word(Watch.FH_LOW) + word(Watch.FH_HIGH) * 0x100000000,
    offset: word(Watch.OFFSET_LOW) + word(Watch.OFFSET_HIGH) * 0x100000000,
    size: word(Watch.SIZE),
  };
  return Atomics.load(slot, Watch.SEQUENCE) === sequence ? operation : undefined;
}
