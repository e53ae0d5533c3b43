/**
 * Numbers for the names of cgroup files, the same in every thread and in every server of the mount: a
 * node id holds a name's number. The table lies in shared memory and only grows. Names are made by
 * the kernel, never by containers, so that it has an end: there are about 150.
 *
 * It is a hash table; a name's number is its place. A place is claimed (1), written, and given (2).
 */
import { MAX_NAMES } from "./node.ts";

const ENTRY_BYTES = 128;
const ENTRY_WORDS = ENTRY_BYTES / 4;
const NAME_AT = 8;
const NAME_BYTES = ENTRY_BYTES - NAME_AT;
const FREE = 0;
const CLAIMED = 1;
const GIVEN = 2;
/** Looks at a place that is being written; after that its writer was killed, and it stays unused. */
const PATIENCE = 100_000;

export const NAMES_BYTES: number = MAX_NAMES * ENTRY_BYTES;

export class FileNames {
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, string>();

  /** @param region shared memory, zeros at first */
  constructor(region: ArrayBufferLike, byteOffset: number) {
    this.#words = new Int32Array(region, byteOffset, NAMES_BYTES / 4);
    this.#bytes = Buffer.from(region, byteOffset, NAMES_BYTES);
  }

  /** The number of a name, given now if it has none; `undefined` for one that can't have any. */
  numberOf(name: string): number | undefined {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (name === "" || Buffer.byteLength(name, "latin1") > NAME_BYTES) return undefined;
    const start = hash(name);
    for (let step = 0; step < MAX_NAMES; step++) {
      const number = (start + step) % MAX_NAMES;
      if (number === 0) continue;
      const at = number * ENTRY_WORDS;
      if (Atomics.compareExchange(this.#words, at, FREE, CLAIMED) === FREE) {
        this.#bytes.write(name, at * 4 + NAME_AT, NAME_BYTES, "latin1");
        this.#words[at + 1] = name.length;
        Atomics.store(this.#words, at, GIVEN);
      } else if (this.nameOf(number) !== name) {
        continue;
      }
      this.#numbers.set(name, number);
      return number;
    }
    return undefined;
  }

  /** The name of a number, `undefined` if it was never given. */
  nameOf(number: number): string | undefined {
    const known = this.#names.get(number);
    if (known !== undefined) return known;
    if (!(number > 0 && number < MAX_NAMES)) return undefined;
    const at = number * ENTRY_WORDS;
    for (let look = 0; look < PATIENCE; look++) {
      const state = Atomics.load(this.#words, at);
      if (state === FREE) return undefined;
      if (state !== GIVEN) continue;
      const start = at * 4 + NAME_AT;
      const name = this.#bytes.toString("latin1", start, start + (this.#words[at + 1] ?? 0));
      this.#names.set(number, name);
      return name;
    }
    return undefined;
  }
}

/** FNV-1a, for it is short. */
function hash(name: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) {
    value = Math.imul(value ^ name.charCodeAt(at), 0x01000193) >>> 0;
  }
  return value % MAX_NAMES;
}
