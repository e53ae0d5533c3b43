/** Which blocks of the program have run, as V8 counts them: no code has to be changed for it. */
import { type Profiler, Session } from "node:inspector";

export class Coverage {
  readonly #session = new Session();
  readonly #isMeasured: (url: string) => boolean;
  /** Where blocks begin, by function: V8 leaves a block out that ran as often as the one around it. */
  readonly #starts = new Map<string, Set<number>>();

  /** @param isMeasured whether the file of that URL counts */
  constructor(isMeasured: (url: string) => boolean) {
    this.#isMeasured = isMeasured;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Names of the blocks that have run since the last call. Takes some milliseconds. */
  take(): Set<string> {
    const ran = new Set<string>();
    this.#session.post("Profiler.takePreciseCoverage", (error, { result }) => {
      if (error) throw error;
      for (const { url, functions } of result) {
        if (!this.#isMeasured(url)) continue;
        for (const { ranges } of functions) this.#addBlocks(ran, url, ranges);
      }
    });
    return ran;
  }

  /** @param ranges of one function, outer before inner */
  #addBlocks(ran: Set<string>, url: string, ranges: readonly Profiler.CoverageRange[]): void {
    const name = `${url}:${ranges[0]?.startOffset}`;
    const starts = this.#starts.get(name) ?? new Set<number>();
    this.#starts.set(name, starts);
    for (const { startOffset } of ranges) starts.add(startOffset);
    for (const start of starts) {
      const innermost = ranges.findLast(
        ({ startOffset, endOffset }) => startOffset <= start && start < endOffset,
      );
      if (innermost !== undefined && innermost.count > 0) ran.add(`${name}:${start}`);
    }
  }

  close(): void {
    this.#session.disconnect();
  }
}
