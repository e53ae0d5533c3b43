/**
 * `/proc/vmstat`, counters of the memory management, mm/vmstat.c:
 *
 *     nr_free_pages 6111347
 *     pgfault 1997780
 *     pswpin 0
 *
 * `nr_` lines are amounts, in pages unless their name says otherwise; the others count events
 * since boot. Which there are is the kernel's build and version: the table keeps their order.
 */
import { readFile } from "../sys/read.ts";
import { type KeyedNumbers, parseKeyedNumbers } from "./keyed_numbers.ts";
import { ParseError } from "./parse_error.ts";

/** @throws on a missing file, ParseError on a malformed one */
export function readVmstat(procRoot: string): KeyedNumbers {
  return parseVmstat(readFile(`${procRoot}/vmstat`));
}

/** @param like what was parsed before, to share its names. @throws ParseError without nr_free_pages */
export function parseVmstat(text: string, like?: KeyedNumbers): KeyedNumbers {
  const vmstat = parseKeyedNumbers(text, like);
  if (vmstat.indexOf("nr_free_pages") < 0) {
    throw new ParseError("vmstat", "a line nr_free_pages", text);
  }
  return vmstat;
}
