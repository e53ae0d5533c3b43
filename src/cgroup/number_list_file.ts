/** A list of CPUs or nodes that a cgroup has from its own file or from the nearest level that says any. */
import { parseCpuList } from "../host/cpu_list.ts";
import { HeldLevels } from "./held_levels.ts";

/** The lists hardly ever change: the parsed one is kept with the text it came from. */
export class NumberListFile {
  readonly #files: readonly HeldLevels[];
  #text = "";
  #numbers: readonly number[] = [];

  /**
   * @param levels directories, the cgroup's own first
   * @param names file names in order of preference
   */
  constructor(levels: readonly string[], names: readonly string[]) {
    this.#files = names.map((name) => new HeldLevels(levels, name));
  }

  /** Ascending numbers; `undefined` if no level has any, or the cgroup is gone. */
  read(): readonly number[] | undefined {
    for (const file of this.#files) {
      if (file.read(this.#saysAny) !== undefined) return this.#numbers;
    }
    return undefined;
  }

  /** Empty is "as above"; malformed is taken for saying nothing, too. Keeps what it parsed. */
  readonly #saysAny = (text: string): boolean => {
    if (text === this.#text) return this.#numbers.length > 0;
    this.#text = text;
    try {
      this.#numbers = parseCpuList(text);
    } catch {
      this.#numbers = [];
    }
    return this.#numbers.length > 0;
  };

  close(): void {
    for (const file of this.#files) file.close();
  }
}
