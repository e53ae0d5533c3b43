/**
 * The host's own files that every rendering starts from, kept open and, for as long as their text
 * stays the same, parsed once. One holder a thread.
 */
import { HeldFile } from "../sys/held_file.ts";
import { type Cpuinfo, parseCpuinfo } from "./cpuinfo.ts";
import { type Meminfo, parseMeminfo } from "./meminfo.ts";
import { ParseError } from "./parse_error.ts";
import { parseStat, type ProcStat } from "./stat.ts";
import { type KeyedNumbers } from "./keyed_numbers.ts";
import { parseVmstat } from "./vmstat.ts";

/** A held file and what was last parsed from it. */
export class ParsedFile<T> {
  readonly #file: HeldFile;
  readonly #parse: (text: string, last: T | undefined) => T;
  #text: string | undefined;
  #value: T | undefined;

  /** @param parse gets the last result, too, to share what has not changed */
  constructor(path: string, parse: (text: string, last: T | undefined) => T) {
    this.#file = new HeldFile(path);
    this.#parse = parse;
  }

  /** What the file says now. @throws ParseError if it is missing or malformed */
  read(): T {
    const text = this.text();
    if (this.#value === undefined || text !== this.#text) {
      this.#value = this.#parse(text, this.#value);
      this.#text = text;
    }
    return this.#value;
  }

  /** Its text as it is now. @throws ParseError if it is missing */
  text(): string {
    const text = this.#file.read();
    if (text === undefined) throw new ParseError(this.#file.path, "a readable file", "none");
    return text;
  }

  close(): void {
    this.#file.close();
  }
}

/** `/proc` files of the host. */
export class HostFiles {
  readonly meminfo: ParsedFile<Meminfo>;
  readonly stat: ParsedFile<ProcStat>;
  readonly cpuinfo: ParsedFile<Cpuinfo>;
  readonly vmstat: ParsedFile<KeyedNumbers>;
  /** Verbatim, as those readers get them who are in no container. */
  readonly #texts = new Map<string, HeldFile>();
  readonly #procRoot: string;

  constructor(procRoot = "/proc") {
    this.#procRoot = procRoot;
    this.meminfo = new ParsedFile<Meminfo>(`${procRoot}/meminfo`, parseMeminfo);
    this.stat = new ParsedFile(`${procRoot}/stat`, parseStat);
    this.cpuinfo = new ParsedFile(`${procRoot}/cpuinfo`, parseCpuinfo);
    this.vmstat = new ParsedFile<KeyedNumbers>(`${procRoot}/vmstat`, parseVmstat);
  }

  /** Text of any other file below the proc root, kept open; `undefined` if it is missing. @param name a constant, such as `diskstats` */
  text(name: string): string | undefined {
    let file = this.#texts.get(name);
    if (!file) this.#texts.set(name, (file = new HeldFile(`${this.#procRoot}/${name}`)));
    return file.read();
  }

  close(): void {
    for (const file of [this.meminfo, this.stat, this.cpuinfo, this.vmstat]) file.close();
    for (const file of this.#texts.values()) file.close();
  }
}
