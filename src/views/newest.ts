/**
 * Which thread's text of each file may be given again: one that was made while no other thread made
 * one, and after which none has been begun. Else two reads, one after the other, could see time go
 * backwards: of two texts that are made at the same time, nobody knows which one saw the later moment.
 *
 * Lies in memory shared by all threads. Files that fall on the same place by chance are told of
 * makings that are not their own, which costs a rendering and nothing else.
 */

const PLACES = 8192;
/** A making that takes longer was that of a thread that has been killed. */
const LONGEST_MS = 1000;

export const NEWEST_BYTES: number = PLACES * (8 + 4 + 4);

/** The making of a text, to be told when it has ended. */
export interface Making {
  readonly place: number;
  /** How many were begun at this place, this one included. */
  readonly number: number;
  /** Whether no other was going on when it began. */
  readonly alone: boolean;
}

export class Newest {
  readonly #begunMs: Float64Array;
  readonly #begun: Int32Array;
  readonly #ended: Int32Array;

  /** @param region shared memory of NEWEST_BYTES, zeros at first */
  constructor(region: ArrayBufferLike, byteOffset: number) {
    this.#begunMs = new Float64Array(region, byteOffset, PLACES);
    this.#begun = new Int32Array(region, byteOffset + PLACES * 8, PLACES);
    this.#ended = new Int32Array(region, byteOffset + PLACES * 12, PLACES);
  }

  /**
   * To be called before anything is read that the text is made of.
   * @param key of the container, 0 for the host
   */
  begin(key: number, local: number, nowMs: number): Making {
    const place = placeOf(key, local);
    const before = Atomics.add(this.#begun, place, 1);
    let ended = Atomics.load(this.#ended, place);
    if (ended !== before && nowMs - (this.#begunMs[place] ?? 0) > LONGEST_MS) {
      Atomics.store(this.#ended, place, before);
      ended = before;
    }
    this.#begunMs[place] = nowMs;
    return { place, number: (before + 1) | 0, alone: ended === before };
  }

  /** To be called before the text is given to anybody. */
  end({ place }: Making): void {
    Atomics.add(this.#ended, place, 1);
  }

  /** Whether the text of this making may be given once more. */
  isNewest({ place, number, alone }: Making): boolean {
    return alone && Atomics.load(this.#begun, place) === number;
  }
}

function placeOf(key: number, local: number): number {
  return (key * 31 + local) % PLACES;
}
