/**
 * Limits that hold for a cgroup are the tightest over it and everything above it. Each level's file
 * is kept open: limits change rarely, but a container resized in place must be seen at the next read.
 */
import type { HeldFile } from "../sys/held_file.ts";
import { cgroupFile } from "./cgroup_file.ts";
import type { Limit } from "./types.ts";

/** What is shown where no level sets a limit. */
export const NO_LIMIT: Limit = { value: Infinity, file: undefined, levels: 0 };

/**
 * v1 says "no limit" with the largest multiple of the page size below 2^63 (PAGE_COUNTER_MAX):
 * 9223372036854771712 with pages of 4 KiB, 9223372036854710272 with 64 KiB.
 */
const V1_UNLIMITED = 2 ** 63 - 2 ** 20;

/** Bytes of a limit file: `max` and v1's huge value are Infinity; `undefined` for what is no limit at all. */
export function parseLimitBytes(text: string): number | undefined {
  const word = text.trim();
  if (word === "max" || word === "-1") return Infinity;
  if (!/^\d+$/.test(word)) return undefined;
  return limitBytes(Number(word));
}

/** v1's huge value, in whatever page size, as Infinity. */
export function limitBytes(bytes: number): number {
  return bytes >= V1_UNLIMITED ? Infinity : bytes;
}

/** One limit file at every level from a cgroup up to the mount's top. */
export class HierarchicalLimit {
  readonly #files: readonly HeldFile[];
  #values: number[];
  #texts: string[];
  #known: Limit | undefined;

  /** @param levels directories, the cgroup's own first */
  constructor(levels: readonly string[], name: string) {
    this.#files = levels.map((level) => cgroupFile(`${level}/${name}`));
    this.#values = levels.map(() => Infinity);
    this.#texts = levels.map(() => "");
  }

  /** The tightest limit as it is now; of equal ones the lowest level's. */
  read(): Limit {
    let value = Infinity;
    let file: string | undefined;
    for (let i = 0; i < this.#files.length; i++) {
      const own = this.#level(i);
      if (own < value) {
        value = own;
        file = this.#files[i]?.path;
      }
    }
    return { value, file, levels: this.#files.length };
  }

  /**
   * As `read`, where the kernel has already said the tightest value elsewhere: the files are then
   * read only when it has changed, to find which of them holds it.
   */
  readKnowing(value: number | undefined): Limit {
    if (value === undefined) return this.read();
    if (value !== this.#known?.value) {
      const { file } = this.read();
      // Not needed again until the value changes.
      this.close();
      this.#known = {
        value,
        file: value === Infinity ? undefined : file,
        levels: this.#files.length,
      };
    }
    return this.#known;
  }

  #level(i: number): number {
    const text = this.#files[i]?.read();
    if (text === undefined) return Infinity;
    if (text !== this.#texts[i]) {
      this.#texts[i] = text;
      // A malformed limit must not pass for a tight one.
      this.#values[i] = parseLimitBytes(text) ?? Infinity;
    }
    return this.#values[i] ?? Infinity;
  }

  close(): void {
    for (const file of this.#files) file.close();
  }
}
