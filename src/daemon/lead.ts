/**
 * Who waits for the next request. One serving thread leads: it reads requests and answers them. The
 * others stand by, asleep, until they are of use:
 *
 * - the leader is about to do something that takes time (make a text): another leads meanwhile, so
 *   that nobody waits for it;
 * - requests queue up: several lead.
 *
 * With several threads waiting at the device at once the kernel would hand requests around between
 * them, each time to the one that has slept longest, with cold caches: one reader then waits more
 * than twice as long for its answer.
 */

const WORDS = { standing: 0, calls: 1 } as const;

/** Bytes of the memory that the threads of one server share for this. */
export const LEAD_BYTES = 8;

/** So many requests between two looks at the queue. */
const LOOK_EVERY = 32;
/** Looks in a row that find a queue before another thread is called. */
const LOOKS_TO_CALL = 3;

export class Lead {
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #isQueued: () => boolean;
  #sinceLook = 0;
  #queued = 0;

  /**
   * @param memory shared by all threads, LEAD_BYTES, zeros at first
   * @param threads how many serve
   * @param isQueued whether a request waits at the device right now
   */
  constructor(memory: SharedArrayBuffer, threads: number, isQueued: () => boolean) {
    this.#words = new Int32Array(memory);
    this.#threads = threads;
    this.#isQueued = isQueued;
  }

  /** Before something slow: sees to it that somebody else leads. */
  handOver(): void {
    if (this.#leading() <= 1) this.#call();
  }

  /**
   * After each request: calls another thread when requests queue up, or stands by if others lead
   * and there is no queue.
   * @param isStopping whether this thread is to end instead of standing by
   */
  settle(isStopping: () => boolean): void {
    if (this.#threads <= 1) return;
    if (this.#leading() > 1) {
      if (!this.#isQueued()) this.#standBy(isStopping);
      return;
    }
    if (++this.#sinceLook < LOOK_EVERY) return;
    this.#sinceLook = 0;
    this.#queued = this.#isQueued() ? this.#queued + 1 : 0;
    if (this.#queued < LOOKS_TO_CALL) return;
    this.#queued = 0;
    this.#call();
  }

  /** At the start of a thread: only one begins as the leader. */
  begin(isFirst: boolean, isStopping: () => boolean): void {
    if (!isFirst && this.#threads > 1) this.#standBy(isStopping);
  }

  #leading(): number {
    return this.#threads - Atomics.load(this.#words, WORDS.standing);
  }

  #call(): void {
    if (Atomics.load(this.#words, WORDS.standing) > 0) callOne(this.#words);
  }

  #standBy(isStopping: () => boolean): void {
    const words = this.#words;
    // Never all of them: whoever would be the last to leave stays.
    if (Atomics.add(words, WORDS.standing, 1) >= this.#threads - 1) {
      Atomics.sub(words, WORDS.standing, 1);
      return;
    }
    while (!isStopping()) {
      const calls = Atomics.load(words, WORDS.calls);
      if (calls > 0) {
        if (Atomics.compareExchange(words, WORDS.calls, calls, calls - 1) === calls) break;
      } else Atomics.wait(words, WORDS.calls, 0);
    }
    Atomics.sub(words, WORDS.standing, 1);
  }
}

/** Wakes one thread that stands by; from any thread, such as the watchdog's. */
export function callOne(words: Int32Array): void {
  if (Atomics.load(words, WORDS.calls) < Atomics.load(words, WORDS.standing)) {
    Atomics.add(words, WORDS.calls, 1);
  }
  Atomics.notify(words, WORDS.calls, 1);
}

/** Wakes all, so that they see that they are to end. */
export function callAll(words: Int32Array): void {
  Atomics.add(words, WORDS.calls, Atomics.load(words, WORDS.standing));
  Atomics.notify(words, WORDS.calls);
}
