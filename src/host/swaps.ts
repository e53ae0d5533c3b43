/**
 * `/proc/swaps`, proc(5):
 *
 *     Filename				Type		Size		Used		Priority
 *     /dev/vda2                               partition	1048572		4		-2
 *
 * Size and use in KiB. Blanks in file names are octal escapes, and a removed file's name is
 * followed by `\040(deleted)`.
 */
import { readFile } from "../sys/read.ts";
import { unescapeMountField } from "./mountinfo.ts";
import { Scanner } from "./scanner.ts";

export interface Swap {
  readonly name: string;
  /** `partition` or `file`. */
  readonly type: string;
  readonly sizeKib: number;
  readonly usedKib: number;
  readonly priority: number;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readSwaps(procRoot: string): Swap[] {
  return parseSwaps(readFile(`${procRoot}/swaps`));
}

/** @throws ParseError on a row that is not as above */
export function parseSwaps(text: string): Swap[] {
  const scanner = new Scanner("swaps", text);
  const rows: Swap[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    if (scanner.atLineEnd() || scanner.take("Filename")) continue;
    const name = unescapeMountField(scanner.word());
    const type = scanner.word();
    const sizeKib = scanner.needNumber("a size");
    const usedKib = scanner.needNumber("the size used");
    const priority = Number.parseInt(scanner.word(), 10);
    rows.push({ name, type, sizeKib, usedKib, priority: Number.isNaN(priority) ? 0 : priority });
  }
  return rows;
}
