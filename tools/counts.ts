/** What tests came to: read from what the reporter wrote, added up, told in one line. */
import type { TestLine } from "./reporter.ts";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Files that failed first and passed when they were run again. */
  readonly unsteady: readonly string[];
}

export const NO_COUNTS: Counts = { passed: 0, failed: 0, skipped: 0, unsteady: [] };

export function sum(all: readonly Counts[]): Counts {
  return all.reduce(
    (total, each) => ({
      passed: total.passed + each.passed,
      failed: total.failed + each.failed,
      skipped: total.skipped + each.skipped,
      unsteady: [...total.unsteady, ...each.unsteady],
    }),
    NO_COUNTS,
  );
}

/** Reads what the reporter (reporter.ts) wrote; a run that died may have cut the last line. */
export function testLines(text: string): TestLine[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TestLine);
}

/** @param status exit status of the run; a run that died without a word has failed, too */
export function countsOf(lines: readonly TestLine[], status: number | null): Counts {
  const count = (what: TestLine["what"]): number =>
    lines.filter((line) => line.what === what).length;
  const failed = count("failed");
  return {
    passed: count("passed"),
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: count("skipped"),
    unsteady: [],
  };
}

/** The line that a run ends with. */
export function closingLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
