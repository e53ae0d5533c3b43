/**
 * `/proc/cpuinfo`: one block a CPU, each architecture in its own words, so text is kept verbatim.
 *
 *     processor	: 0                        x86, arm64, riscv, powerpc, ...
 *     model name	: AMD EPYC
 *     physical id	: 0
 *     (empty line)
 *     processor	: 1
 *     ...
 *     Hardware	: BCM2835                  32-bit ARM, some arm64 and powerpc: a trailer
 *
 * s390x begins with a header, a line a CPU, and has numbered blocks below them:
 *
 *     vendor_id       : IBM/S390
 *     # processors    : 2
 *     processor 0: version = FF,  identification = 0133E8,  machine = 2964
 *     processor 1: version = FF,  identification = 0133E8,  machine = 2964
 *
 *     cpu number      : 0
 *     cpu MHz dynamic : 5000
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

/** One CPU's text, cut at its number: `before + number + after` is the block again. */
export interface CpuBlock {
  readonly processor: number;
  /** Up to the number: `processor\t: `. */
  readonly before: string;
  /** Behind the number: all other lines and, where the kernel puts one, the empty line at the end. */
  readonly after: string;
}

export interface Cpuinfo {
  /** What stands before the first CPU. */
  readonly header: string;
  readonly blocks: readonly CpuBlock[];
  /** s390x only: the empty line between both parts. */
  readonly between: string;
  /** s390x only: the second part, blocks that begin with `cpu number`. */
  readonly details: readonly CpuBlock[];
  /** What stands behind the last CPU's block. */
  readonly trailer: string;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readCpuinfo(procRoot: string): Cpuinfo {
  return parseCpuinfo(readFile(`${procRoot}/cpuinfo`));
}

/**
 * All parts in order make up the text again: header, blocks, between, details, trailer.
 * @throws ParseError if no CPU is found
 */
export function parseCpuinfo(text: string): Cpuinfo {
  const starts = findStarts(text);
  const [first] = starts;
  if (!first) throw new ParseError("cpuinfo", "a line processor : number", text);
  const blocks: CpuBlock[] = [];
  const details: CpuBlock[] = [];
  let between = "";
  let trailer = "";
  starts.forEach((start, i) => {
    const next = starts[i + 1];
    let end = next?.at ?? text.length;
    if (!next) {
      // Behind the last CPU's empty line a trailer may follow.
      const empty = text.indexOf("\n\n", start.numberEnd);
      if (empty >= 0 && empty + 2 < text.length) end = empty + 2;
      trailer = text.slice(end);
    } else if (next.detail && !start.detail) {
      end = text.indexOf("\n", start.numberEnd) + 1;
      between = text.slice(end, next.at);
    }
    (start.detail ? details : blocks).push({
      processor: start.processor,
      before: text.slice(start.at, start.numberAt),
      after: text.slice(start.numberEnd, end),
    });
  });
  return { header: text.slice(0, first.at), blocks, between, details, trailer };
}

interface Start {
  readonly at: number;
  readonly numberAt: number;
  readonly numberEnd: number;
  readonly processor: number;
  readonly detail: boolean;
}

/** Lines that begin a CPU's block. `Processor : ARMv7` of old ARM kernels is none: it has no number. */
function findStarts(text: string): Start[] {
  const starts: Start[] = [];
  const line =
    /^(?:(processor[ \t]*:[ \t]*|processor )|cpu number[ \t]*:[ \t]*)(\d{1,7})(?![^\n:])/gm;
  for (const match of text.matchAll(line)) {
    const [whole, processor, number = ""] = match;
    const numberEnd = match.index + whole.length;
    starts.push({
      at: match.index,
      numberAt: numberEnd - number.length,
      numberEnd,
      processor: Number(number),
      detail: processor === undefined,
    });
  }
  return starts;
}

/** Value of a line `name\t: value` in a block's text, `undefined` if it has none. */
export function cpuinfoField(block: string, name: string): string | undefined {
  const field = findField(block, name);
  return field && block.slice(field.start, field.end);
}

/** The text with one line's value replaced; unchanged if the block has no such line. */
export function withCpuinfoField(block: string, name: string, value: string | number): string {
  const field = findField(block, name);
  return field ? block.slice(0, field.start) + value + block.slice(field.end) : block;
}

/** Where a field's value stands. Names are compared whole: "apicid" is not "initial apicid". */
function findField(
  block: string,
  name: string,
): { readonly start: number; readonly end: number } | undefined {
  for (let from = 0; ;) {
    const at = block.indexOf(name, from);
    if (at < 0) return undefined;
    from = at + name.length;
    if (at > 0 && block[at - 1] !== "\n") continue;
    let start = from;
    while (block[start] === "\t" || block[start] === " ") start++;
    if (block[start] !== ":") continue;
    start++;
    while (block[start] === "\t" || block[start] === " ") start++;
    const newline = block.indexOf("\n", start);
    return { start, end: newline < 0 ? block.length : newline };
  }
}
