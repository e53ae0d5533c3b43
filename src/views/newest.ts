/**
 * When the newest text of each file was made, by whichever thread: a thread may give a text of its
 * own again only while nobody has made a newer one. Else two reads, answered by two threads, could
 * see time go backwards.
 *
 * Lies in memory shared by all threads. Files that fall on the same place by chance are told newer
 * times than their own, which costs a rendering and nothing else.
 */

const PLACES = 8192;

export const NEWEST_BYTES: number = PLACES * 8;

export class Newest {
  readonly #madeMs: Float64Array;

  /** @param region shared memory of NEWEST_BYTES, zeros at first */
  constructor(region: ArrayBufferLike, byteOffset: number) {
    this.#madeMs = new Float64Array(region, byteOffset, PLACES);
  }

  /** @param key of the container, 0 for the host */
  isNewest(key: number, local: number, madeMs: number): boolean {
    return madeMs >= (this.#madeMs[placeOf(key, local)] ?? 0);
  }

  /** To be called before the text is given to anybody. */
  made(key: number, local: number, madeMs: number): void {
    const place = placeOf(key, local);
    if (madeMs > (this.#madeMs[place] ?? 0)) this.#madeMs[place] = madeMs;
  }
}

function placeOf(key: number, local: number): number {
  return (key * 31 + local) % PLACES;
}
