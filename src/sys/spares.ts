/**
 * Descriptors that a process keeps for the moment when it may open no more: whichever of its threads
 * needs one closes a spare. The main thread takes new ones when there is room again.
 */
import { closeFd, eventfdCreate } from "./native.ts";

/** A thread that starts takes eight, of which two threads may be starting at a time. */
const SPARES = 16;

export class Spares {
  /** For the other threads. A cell holds a descriptor's number and one, or 0 for none. */
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(SPARES * 4)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  /** How many there are. */
  get count(): number {
    return this.#cells.filter((cell) => cell !== 0).length;
  }

  /** Takes as many as are missing and can be had; one thread only. */
  fill(): void {
    for (let at = 0; at < this.#cells.length; at++) {
      if (Atomics.load(this.#cells, at) !== 0) continue;
      try {
        Atomics.store(this.#cells, at, eventfdCreate() + 1);
      } catch {
        // Another time.
        return;
      }
    }
  }

  /** Closes up to `count` of them. @returns false if there was none */
  give(count = 1): boolean {
    let left = count;
    for (let at = 0; at < this.#cells.length && left > 0; at++) {
      const cell = Atomics.exchange(this.#cells, at, 0);
      if (cell === 0) continue;
      closeFd(cell - 1);
      left--;
    }
    return left < count;
  }
}

/** The spares of this process: the main thread's, which hands their memory to the others. */
export const spares = new Spares();
