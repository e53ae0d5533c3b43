/**
 * Who waits for the next request. Of the serving threads one leads: it reads requests and answers
 * them. The others stand by, asleep, until they are of use:
 *
 * - requests queue up: several lead;
 * - the leader is at something that may take time: another leads meanwhile.
 *
 * With several threads waiting at the device at once the kernel hands requests around between them,
 * each time to the one that has slept longest, with the coldest caches; a lone reader then waits
 * twice as long for its answers.
 */

import type { RequestHeader } from "../fuse/operations.ts";

/** What a thread is doing; its place in the shared words is the number of its slot. */
const DOING = { nothing: 0, leading: 1, standing: 2, slow: 3 } as const;

const THREADS = 32;
/** Position of the word that those standing by sleep on: how many have been called. */
const CALLS = THREADS;
/** Position of the word that counts who leads, so that nobody has to look at all. */
const LEADING = THREADS + 1;

/** Position of the node that each thread read from last, low and high word. */
const NODES = THREADS + 2;

/** Bytes of the memory that the threads of one server share for this. */
export const LEAD_BYTES: number = (NODES + 2 * THREADS) * 4;

/** So many requests between two looks at the queue. */
const LOOK_EVERY = 32;
/** How often a thread that has nothing to do is told so. */
export const IDLE_MS = 2000;
/** Looks in a row that find a queue before another thread is called. */
const LOOKS_TO_CALL = 3;

export interface LeadOptions {
  /** Whether a request waits at the device right now. */
  readonly isQueued: () => boolean;
  /** Whether this thread is to end. */
  readonly isStopping: () => boolean;
  /**
   * How many may lead because of a queue. Readers need CPUs, too: where two threads serve on two CPUs,
   * they and the readers take them from each other, and fewer reads are answered than by one.
   */
  readonly most: number;
  /** Told every now and then while this thread has nothing else to do. */
  readonly onIdle?: () => void;
}

/** One thread's part in it. */
export class Lead {
  readonly #words: Int32Array;
  readonly #slot: number;
  readonly #options: LeadOptions;
  #sinceLook = 0;
  #queued = 0;

  /**
   * @param memory shared by all threads, LEAD_BYTES, zeros at first
   * @param slot this thread's own number
   */
  constructor(memory: SharedArrayBuffer, slot: number, options: LeadOptions) {
    this.#words = new Int32Array(memory);
    this.#slot = slot;
    this.#options = options;
  }

  /** At the start: leads if nobody does, else stands by. */
  begin(): void {
    if (Atomics.load(this.#words, LEADING) > 0) this.#standBy();
    else become(this.#words, this.#slot, DOING.leading);
  }

  /** Before something that may take time: if others wait already, somebody else is to serve them. */
  slow(): void {
    if (!this.#options.isQueued()) return;
    become(this.#words, this.#slot, DOING.slow);
    if (Atomics.load(this.#words, LEADING) === 0) callOne(this.#words);
  }

  /** Told of each read. */
  noteRead({ nodeLow, nodeHigh }: RequestHeader): void {
    const at = NODES + 2 * this.#slot;
    this.#words[at] = nodeLow;
    this.#words[at + 1] = nodeHigh;
  }

  /** After each request: calls another thread if requests queue up, stands by if it is not needed. */
  settle(): void {
    const words = this.#words;
    // Plain looks: what another thread has just written may be seen at the next request.
    if (words[this.#slot] !== DOING.leading) become(words, this.#slot, DOING.leading);
    const leading = words[LEADING] ?? 1;
    if (leading > 1) {
      if (leading > this.#options.most || !this.#options.isQueued()) this.#standBy();
      return;
    }
    if (leading >= this.#options.most || ++this.#sinceLook < LOOK_EVERY) return;
    this.#sinceLook = 0;
    this.#queued = this.#options.isQueued() ? this.#queued + 1 : 0;
    if (this.#queued < LOOKS_TO_CALL) return;
    this.#queued = 0;
    callOne(words);
  }

  /** At the end: this thread counts no more. */
  end(): void {
    endOf(this.#words, this.#slot);
  }

  #standBy(): void {
    const words = this.#words;
    become(words, this.#slot, DOING.standing);
    while (!this.#options.isStopping()) {
      // Of two that stand by at the same moment, each thinking that the other leads, one sees it.
      if (Atomics.load(words, LEADING) === 0) {
        // The call that may have been meant for it is answered with this.
        Atomics.store(words, CALLS, 0);
        break;
      }
      const calls = Atomics.load(words, CALLS);
      if (calls === 0) {
        if (Atomics.wait(words, CALLS, 0, IDLE_MS) === "timed-out") this.#options.onIdle?.();
      } else if (Atomics.compareExchange(words, CALLS, calls, calls - 1) === calls) break;
    }
    become(words, this.#slot, DOING.leading);
  }
}

/** Notes what the thread of `slot` does from now on. */
function become(words: Int32Array, slot: number, doing: number): void {
  const before = Atomics.exchange(words, slot, doing);
  const more = Number(doing === DOING.leading) - Number(before === DOING.leading);
  if (more !== 0) Atomics.add(words, LEADING, more);
}

/** Wakes one thread that stands by, if there is one. */
function callOne(words: Int32Array): void {
  for (let slot = 0; slot < THREADS; slot++) {
    if (Atomics.load(words, slot) !== DOING.standing) continue;
    Atomics.store(words, CALLS, 1);
    Atomics.notify(words, CALLS, 1);
    return;
  }
}

function endOf(words: Int32Array, slot: number): void {
  become(words, slot, DOING.nothing);
  if (Atomics.load(words, LEADING) === 0) callOne(words);
}

/** The main thread's part: to call others where the threads themselves cannot. */
export class LeadWatch {
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor() {
    this.memory = new SharedArrayBuffer(LEAD_BYTES);
    this.#words = new Int32Array(this.memory);
  }

  /** The thread of `slot` has not come back for some time: it does not lead, whatever it says. */
  hangs(slot: number): void {
    if (Atomics.compareExchange(this.#words, slot, DOING.leading, DOING.slow) === DOING.leading) {
      if (Atomics.sub(this.#words, LEADING, 1) === 1) callOne(this.#words);
    }
  }

  /** The thread of `slot` has ended. */
  ended(slot: number): void {
    endOf(this.#words, slot);
  }

  /** For each thread that leads, the id of the node that it read from last: a file that the kernel knew then. */
  lastRead(): bigint[] {
    const nodes: bigint[] = [];
    for (let slot = 0; slot < THREADS; slot++) {
      if (Atomics.load(this.#words, slot) !== DOING.leading) continue;
      const low = Atomics.load(this.#words, NODES + 2 * slot);
      const high = Atomics.load(this.#words, NODES + 2 * slot + 1);
      nodes.push((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
    }
    return nodes;
  }

  /** Wakes all, so that they see that they are to end. */
  callAll(): void {
    Atomics.store(this.#words, CALLS, THREADS);
    Atomics.notify(this.#words, CALLS);
  }
}
