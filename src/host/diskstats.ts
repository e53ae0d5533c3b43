/**
 * `/proc/diskstats`, Documentation/admin-guide/iostats.rst:
 *
 *      254       0 vda 36645 9570 2965690 10545 4669 11301 1023264 2706 0 4780 13499 3448 32 177000 228 576 19
 *
 * Major, minor, name, then counters since boot: reads completed, reads merged, sectors read, ms
 * reading, the same four of writes, I/Os in flight, ms doing I/O, weighted ms; since 4.18 the four
 * of discards; since 5.5 flushes and ms flushing. A sector is 512 bytes whatever the disk's is.
 * A partition has rows of its own. (`%4d %7d %s`: the first two columns are right-aligned.)
 */
import { readFile } from "../sys/read.ts";
import { Scanner } from "./scanner.ts";

/** Positions in a row of counters. */
export const DISK_COLUMN = {
  readIos: 0,
  readMerges: 1,
  readSectors: 2,
  readTimeMs: 3,
  writeIos: 4,
  writeMerges: 5,
  writeSectors: 6,
  writeTimeMs: 7,
  inFlight: 8,
  busyMs: 9,
  weightedMs: 10,
  discardIos: 11,
  discardMerges: 12,
  discardSectors: 13,
  discardTimeMs: 14,
  flushIos: 15,
  flushTimeMs: 16,
} as const;

export const SECTOR_BYTES = 512;

export interface DiskRow {
  readonly major: number;
  readonly minor: number;
  readonly name: string;
  /** 11, 15 or 17 of them, as the kernel has them. */
  readonly counters: readonly number[];
}

/** @throws on a missing file, ParseError on a malformed one */
export function readDiskstats(procRoot: string): DiskRow[] {
  return parseDiskstats(readFile(`${procRoot}/diskstats`));
}

/** Rows in the file's order. @throws ParseError on a row without device and name */
export function parseDiskstats(text: string): DiskRow[] {
  const scanner = new Scanner("diskstats", text);
  const rows: DiskRow[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    if (scanner.atLineEnd()) continue;
    const major = scanner.needNumber("a major number");
    const minor = scanner.needNumber("a minor number");
    const name = scanner.word();
    if (name === "") throw scanner.error("a device name");
    rows.push({ major, minor, name, counters: scanner.numbers() });
  }
  return rows;
}
