/**
 * `/proc/loadavg`, Documentation/filesystems/proc.rst:
 *
 *     0.02 0.02 0.00 3/93 6522
 *
 * Threads running or in uninterruptible sleep, averaged over 1, 5 and 15 minutes; threads running
 * now of all threads; the last pid given out in the reader's pid namespace.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

export interface Loadavg {
  readonly load1: number;
  readonly load5: number;
  readonly load15: number;
  readonly runningThreads: number;
  readonly totalThreads: number;
  readonly lastPid: number;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readLoadavg(procRoot: string): Loadavg {
  return parseLoadavg(readFile(`${procRoot}/loadavg`));
}

/** @throws ParseError */
export function parseLoadavg(text: string): Loadavg {
  const match =
    /^(\d{1,15}\.\d+) (\d{1,15}\.\d+) (\d{1,15}\.\d+) (\d{1,10})\/(\d{1,10}) (\d{1,10})$/.exec(
      text.trim(),
    );
  if (!match) throw new ParseError("loadavg", "three averages, running/total, last pid", text);
  const [load1 = 0, load5 = 0, load15 = 0, runningThreads = 0, totalThreads = 0, lastPid = 0] =
    match.slice(1).map(Number);
  return { load1, load5, load15, runningThreads, totalThreads, lastPid };
}
