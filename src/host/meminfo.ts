/**
 * `/proc/meminfo`, Documentation/filesystems/proc.rst:
 *
 *     MemTotal:       24684084 kB
 *     MemFree:        24445388 kB
 *     HugePages_Total:       0
 *
 * Units are KiB, written kB; the HugePages_ counts have none. Which lines there are, and in which
 * order, is the kernel's build and version: the table keeps both.
 */
import { readFile } from "../sys/read.ts";
import { type KeyedNumbers, parseKeyedNumbers } from "./keyed_numbers.ts";
import { ParseError } from "./parse_error.ts";

/** Names are without their colon; values in KiB, or plain counts for `HugePages_*`. */
export type Meminfo = KeyedNumbers;

/** @throws on a missing file, ParseError on a malformed one */
export function readMeminfo(procRoot: string): Meminfo {
  return parseMeminfo(readFile(`${procRoot}/meminfo`));
}

/**
 * @param like what was parsed before, to share its names
 * @throws ParseError without MemTotal and MemFree
 */
export function parseMeminfo(text: string, like?: Meminfo): Meminfo {
  const meminfo = parseKeyedNumbers(text, like);
  for (const name of ["MemTotal", "MemFree"]) {
    if (meminfo.indexOf(name) < 0) throw new ParseError("meminfo", `a line ${name}:`, text);
  }
  return meminfo;
}

/** Whether the line of this name is a count of pages instead of KiB. */
export function meminfoHasUnit(name: string): boolean {
  return !name.startsWith("HugePages_");
}
