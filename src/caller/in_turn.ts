/** Goes round a map, a few entries at a time, so that a look at all of them costs no one caller much. */
export class InTurn<K, V> {
  readonly #map: ReadonlyMap<K, V>;
  #entries: Iterator<[K, V], undefined>;

  constructor(map: ReadonlyMap<K, V>) {
    this.#map = map;
    this.#entries = map.entries();
  }

  /** Calls `look`, which may delete it, with each of the next entries, up to `count`. */
  some(count: number, look: (value: V, key: K) => void): void {
    for (let left = Math.min(count, this.#map.size); left > 0; left--) {
      let next = this.#entries.next();
      if (next.done === true) {
        this.#entries = this.#map.entries();
        next = this.#entries.next();
      }
      if (next.done !== true) look(next.value[1], next.value[0]);
    }
  }
}
