/**
 * Open files. A file's text is made by the read at offset 0 and kept, so that the reads that follow
 * see one text whatever their size; the next read at offset 0 makes a new one (as `top` expects,
 * which keeps /proc/stat open and seeks back).
 *
 * The texts lie in shared memory: the kernel gives the reads of one file to any thread, and after a
 * restart to another process, which must go on with the same text. The handle is the place there.
 * When all places are taken, a file gets a handle without one: then each read makes the text afresh.
 */

/** Handle of a file that has no place. */
export const NO_PLACE = 0;

/** Words of a place's head. */
const WORD = {
  state: 0,
  lock: 1,
  length: 2,
  large: 3,
  ownerLow: 4,
  ownerHigh: 5,
  /** Counts uses of the place: a handle of an earlier use is not one of this. */
  use: 6,
  /** The file whose text it is. */
  local: 7,
  /** When the text was made: one number for each, in their order. */
  made: 8,
} as const;
/**
 * A handle has the place in its low 16 bits and the use above them. It fits 31 bits, since V8 computes
 * with larger numbers as floating point ones; a place is used often enough in between that no handle of
 * an earlier use, in a request that is executed again, is taken for one of this.
 */
const PLACE_BITS = 16;
const PLACE_MASK = 2 ** PLACE_BITS - 1;
const MAX_USE = 2 ** 15;
const HEAD_WORDS = 16;
const HEAD_BYTES = HEAD_WORDS * 4;
const FREE = 0;
const TAKEN = 1;
/** For a file whose container is found out at each read. Above all that are known. */
export const UNKNOWN_OWNER: number = 2 ** 50;
/** `length` while no text was made yet. */
const NO_TEXT = -1;
/** `local` of a text that `last` is not to find. */
const NO_FILE = -1;

const SMALL_BYTES = 16384 - HEAD_BYTES;
const LARGE_BYTES = 512 << 10;
const STALE_LOCK_MS = 5;

export interface OpenFilesSize {
  readonly places: number;
  /** Places for texts over 16 KiB (cpuinfo on machines with many CPUs). */
  readonly largePlaces: number;
}

export const OPEN_FILES_SIZE: OpenFilesSize = { places: 1024, largePlaces: 48 };

/** Bytes of shared memory needed; they cost memory only when used. */
export function openFilesBytes(size: OpenFilesSize): number {
  return size.largePlaces * (LARGE_BYTES + 4) + size.places * (HEAD_BYTES + SMALL_BYTES) + 64;
}

export class OpenFiles {
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #size: OpenFilesSize;
  readonly #largeAt: number;
  readonly #largeTaken: Int32Array;

  /** @param region shared memory, zeros at first, page-aligned */
  constructor(region: ArrayBufferLike, byteOffset: number, size: OpenFilesSize) {
    const smallTotal = size.places * (HEAD_BYTES + SMALL_BYTES);
    this.#bytes = Buffer.from(region, byteOffset, openFilesBytes(size));
    this.#words = new Int32Array(region, byteOffset, smallTotal / 4);
    this.#size = size;
    this.#largeAt = smallTotal;
    const takenAt = byteOffset + smallTotal + size.largePlaces * LARGE_BYTES;
    // And one word more: it counts the texts made.
    this.#largeTaken = new Int32Array(region, takenAt, size.largePlaces + 1);
  }

  /**
   * Takes a place for a file of the container `owner` (0: the host).
   * @returns its handle, or NO_PLACE if there is none left
   */
  open(owner: number): number {
    for (let place = 0; place < this.#size.places; place++) {
      const at = this.#wordsAt(place);
      if (Atomics.load(this.#words, at) !== FREE) continue;
      if (Atomics.compareExchange(this.#words, at + WORD.state, FREE, TAKEN) !== FREE) continue;
      this.#words[at + WORD.lock] = 0;
      this.#words[at + WORD.length] = NO_TEXT;
      this.#words[at + WORD.large] = 0;
      this.#words[at + WORD.ownerLow] = owner | 0;
      this.#words[at + WORD.ownerHigh] = Math.floor(owner / 2 ** 32);
      const use = ((this.#words[at + WORD.use] ?? 0) + 1) % MAX_USE;
      this.#words[at + WORD.use] = use;
      return (use << PLACE_BITS) | (place + 1);
    }
    return NO_PLACE;
  }

  /** The container whose file it is, as given to `open`; `undefined` where that is not known. */
  owner(handle: number): number | undefined {
    const at = this.#taken(handle);
    const owner = at < 0 ? UNKNOWN_OWNER : this.#ownerAt(at);
    return owner === UNKNOWN_OWNER ? undefined : owner;
  }

  #ownerAt(at: number): number {
    const low = (this.#words[at + WORD.ownerLow] ?? 0) >>> 0;
    return (this.#words[at + WORD.ownerHigh] ?? 0) * 2 ** 32 + low;
  }

  close(handle: number): void {
    const at = this.#taken(handle);
    if (at < 0) return;
    this.#dropLarge(at);
    Atomics.store(this.#words, at + WORD.state, FREE);
  }

  /** Number of places taken. */
  count(): number {
    let count = 0;
    for (let place = 0; place < this.#size.places; place++) {
      if (this.#words[this.#wordsAt(place)] === TAKEN) count++;
    }
    return count;
  }

  /**
   * Keeps `text` for the reads that follow. One that is too large is not kept.
   * @param local the file, for `last`
   */
  keep(handle: number, text: Buffer, local = NO_FILE): void {
    const at = this.#taken(handle);
    if (at < 0) return;
    this.#lock(at);
    this.#words[at + WORD.length] = NO_TEXT;
    const textAt = this.#roomFor(at, text.length);
    if (textAt >= 0) {
      text.copy(this.#bytes, textAt);
      this.#words[at + WORD.length] = text.length;
      this.#words[at + WORD.local] = local;
      this.#words[at + WORD.made] = Atomics.add(this.#largeTaken, this.#size.largePlaces, 1);
    }
    Atomics.store(this.#words, at + WORD.lock, 0);
  }

  /**
   * The text of a file that was made last for `owner`, whichever thread made it and whether or not it
   * is still open: for a request that cannot wait for a new one. Looks at all places.
   */
  last(owner: number, local: number): Buffer | undefined {
    let found = -1;
    for (let place = 0; place < this.#size.places; place++) {
      const at = this.#wordsAt(place);
      if (this.#words[at + WORD.local] !== local || this.#ownerAt(at) !== owner) continue;
      if ((this.#words[at + WORD.length] ?? NO_TEXT) < 0) continue;
      const isNewer = (made: number, than: number): boolean => ((made - than) | 0) > 0;
      const made = this.#words[at + WORD.made] ?? 0;
      if (found < 0 || isNewer(made, this.#words[found + WORD.made] ?? 0)) found = at;
    }
    if (found < 0) return undefined;
    this.#lock(found);
    // Another may have taken the place meanwhile.
    const same = this.#words[found + WORD.local] === local && this.#ownerAt(found) === owner;
    const length = same ? (this.#words[found + WORD.length] ?? NO_TEXT) : NO_TEXT;
    const textAt = this.#textAt(found);
    const text =
      length < 0 ? undefined : Buffer.from(this.#bytes.subarray(textAt, textAt + length));
    Atomics.store(this.#words, found + WORD.lock, 0);
    return text;
  }

  /**
   * Copies kept text from `offset` on into `target`.
   * @returns how many bytes, 0 at or past the end, or -1 if no text is kept
   */
  read(handle: number, offset: number, size: number, target: Buffer): number {
    const at = this.#taken(handle);
    if (at < 0) return -1;
    this.#lock(at);
    const length = this.#words[at + WORD.length] ?? NO_TEXT;
    let count = -1;
    if (length >= 0) {
      count = Math.max(0, Math.min(size, length - offset));
      const textAt = this.#textAt(at) + offset;
      if (count > 0) this.#bytes.copy(target, 0, textAt, textAt + count);
    }
    Atomics.store(this.#words, at + WORD.lock, 0);
    return count;
  }

  /** Position of the head's words, or -1 if `handle` is not that of a taken place. */
  #taken(handle: number): number {
    const place = (handle & PLACE_MASK) - 1;
    if (!(place >= 0 && place < this.#size.places)) return -1;
    const at = this.#wordsAt(place);
    const same = this.#words[at + WORD.use] === handle >>> PLACE_BITS;
    return same && this.#words[at] === TAKEN ? at : -1;
  }

  #wordsAt(place: number): number {
    return (place * (HEAD_BYTES + SMALL_BYTES)) / 4;
  }

  #textAt(at: number): number {
    const large = this.#words[at + WORD.large] ?? 0;
    return large > 0 ? this.#largeAt + (large - 1) * LARGE_BYTES : at * 4 + HEAD_BYTES;
  }

  /** Where a text of `length` bytes goes, or -1 if there is no room for it. */
  #roomFor(at: number, length: number): number {
    if (length <= SMALL_BYTES) this.#dropLarge(at);
    else if (length > LARGE_BYTES || !this.#takeLarge(at)) return -1;
    return this.#textAt(at);
  }

  #takeLarge(at: number): boolean {
    if ((this.#words[at + WORD.large] ?? 0) > 0) return true;
    for (let large = 0; large < this.#size.largePlaces; large++) {
      if (Atomics.compareExchange(this.#largeTaken, large, FREE, TAKEN) !== FREE) continue;
      this.#words[at + WORD.large] = large + 1;
      return true;
    }
    return false;
  }

  #dropLarge(at: number): void {
    const large = this.#words[at + WORD.large] ?? 0;
    if (large === 0) return;
    this.#words[at + WORD.large] = 0;
    Atomics.store(this.#largeTaken, large - 1, FREE);
  }

  /** Held while a few kilobytes are copied; one held longer belonged to a server that was killed. */
  #lock(at: number): void {
    const lock = at + WORD.lock;
    if (Atomics.compareExchange(this.#words, lock, 0, 1) === 0) return;
    const startMs = performance.now();
    while (Atomics.compareExchange(this.#words, lock, 0, 1) !== 0) {
      if (performance.now() - startMs > STALE_LOCK_MS) return;
    }
  }
}
