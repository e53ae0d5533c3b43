/**
 * `/proc/partitions`, Documentation/filesystems/proc.rst:
 *
 *     major minor  #blocks  name
 *
 *      254        0  268435456 vda
 *
 * Blocks of 1 KiB.
 */
import { readFile } from "../sys/read.ts";
import { Scanner } from "./scanner.ts";

export interface Partition {
  readonly major: number;
  readonly minor: number;
  readonly kib: number;
  readonly name: string;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readPartitions(procRoot: string): Partition[] {
  return parsePartitions(readFile(`${procRoot}/partitions`));
}

/** @throws ParseError on a row that is not as above */
export function parsePartitions(text: string): Partition[] {
  const scanner = new Scanner("partitions", text);
  const rows: Partition[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    if (scanner.atLineEnd() || scanner.take("major")) continue;
    const major = scanner.needNumber("a major number");
    const minor = scanner.needNumber("a minor number");
    const kib = scanner.needNumber("a size in blocks");
    const name = scanner.word();
    if (name === "") throw scanner.error("a device name");
    rows.push({ major, minor, kib, name });
  }
  return rows;
}
