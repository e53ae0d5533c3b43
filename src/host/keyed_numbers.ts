/**
 * Files of one name and one number a line, the shape of `/proc/meminfo`, `/proc/vmstat`,
 * `memory.stat` and `cpu.stat`:
 *
 *     MemTotal:       24684084 kB
 *     workingset_refault_file 210659
 *
 * These are the files read most often. The names in them hardly ever change, so a table may be
 * given to the next parse of the same file: as long as the lines come in the same order their
 * names are compared in place and no string is made.
 */

const SPACE = 32;
const TAB = 9;
const NEWLINE = 10;
const COLON = 58;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
/** Numbers from here on are negative ones, printed unsigned (see scanner.ts). */
const SIGN_BIT = 2 ** 63;

/** The names of a file in its order, shared by all tables parsed from it. */
interface Names {
  readonly list: readonly string[];
  readonly index: ReadonlyMap<string, number>;
}

/** What a file said at one moment. */
export class KeyedNumbers {
  readonly #names: Names;
  /** By line, in the file's order; `names[i]` is what `values[i]` counts. */
  readonly values: readonly number[];

  constructor(names: Names, values: readonly number[]) {
    this.#names = names;
    this.values = values;
  }

  /** Names in the file's order. */
  get names(): readonly string[] {
    return this.#names.list;
  }

  /** Position of a name in `names`, or -1. */
  indexOf(name: string): number {
    return this.#names.index.get(name) ?? -1;
  }

  /** The number behind a name, or `undefined` if the file has no such line. */
  get(name: string): number | undefined {
    const index = this.#names.index.get(name);
    return index === undefined ? undefined : this.values[index];
  }

  /** @internal for the parser */
  get sharedNames(): Names {
    return this.#names;
  }
}

/**
 * Parses any text; a line that is not a name followed by an unsigned number is left out.
 * @param like a table parsed from the same file before, to share its names
 */
export function parseKeyedNumbers(text: string, like?: KeyedNumbers): KeyedNumbers {
  const known = like?.sharedNames.list ?? [];
  const values: number[] = [];
  let fresh: string[] | undefined;
  let pos = 0;
  const { length } = text;
  while (pos < length) {
    const expected = fresh === undefined ? known[values.length] : undefined;
    let nameEnd: number;
    let same = false;
    if (
      expected !== undefined &&
      text.startsWith(expected, pos) &&
      isDelimiter(text.charCodeAt(pos + expected.length))
    ) {
      nameEnd = pos + expected.length;
      same = true;
    } else {
      nameEnd = pos;
      while (nameEnd < length && !isDelimiter(text.charCodeAt(nameEnd))) nameEnd++;
    }
    let at = nameEnd;
    if (text.charCodeAt(at) === COLON) at++;
    let code = text.charCodeAt(at);
    while (code === SPACE || code === TAB) code = text.charCodeAt(++at);
    const start = at;
    let value = 0;
    while (code >= DIGIT_0 && code <= DIGIT_9) {
      value = value * 10 + (code - DIGIT_0);
      code = text.charCodeAt(++at);
    }
    if (at > start && nameEnd > pos) {
      if (!same) {
        fresh ??= known.slice(0, values.length);
        fresh.push(text.slice(pos, nameEnd));
      }
      values.push(value >= SIGN_BIT ? 0 : value);
    }
    const newline = code === NEWLINE ? at : text.indexOf("\n", at);
    if (newline < 0) break;
    pos = newline + 1;
  }
  if (fresh === undefined && like && values.length === known.length) {
    return new KeyedNumbers(like.sharedNames, values);
  }
  return new KeyedNumbers(namesOf(fresh ?? known.slice(0, values.length)), values);
}

/**
 * Lists of names that were met, by their own text: all cgroups of a machine have the same ones, and
 * thousands of equal tables would be most of what a container costs in memory. Only a memory of a
 * pure function; bounded all the same.
 */
const met = new Map<string, Names>();
const MOST_MET = 64;

function namesOf(list: readonly string[]): Names {
  const text = list.join("\n");
  let names = met.get(text);
  if (names === undefined) {
    // Cut from a text of their own, not from the whole file that they were found in.
    const own = text.split("\n");
    names = { list: own, index: new Map(own.map((name, i) => [name, i])) };
    if (met.size >= MOST_MET) met.clear();
    met.set(text, names);
  }
  return names;
}

function isDelimiter(code: number): boolean {
  return code === COLON || code === SPACE || code === TAB || code === NEWLINE;
}
