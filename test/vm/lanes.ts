/**
 * Runs test files in machines, several machines side by side: a test mostly waits or keeps one CPU
 * busy. What can share a machine does; a file that fails is run again, alone, in a fresh machine.
 */
import { closingLine, type Counts, NO_COUNTS, sum } from "../../tools/counts.ts";
import { type FileResult, type GuestFiles, runGuestFiles } from "./guest_files.ts";
import type { Layout } from "./layout.ts";
import { type Machine, MachineError } from "./machine.ts";
import type { Boot } from "./session.ts";

export interface Outcome {
  readonly files: GuestFiles;
  readonly counts: Counts;
  /** Exit status of what failed last; 0: nothing did. */
  readonly status: number;
  readonly seconds: number;
  /** CPU time that the machines took for it, on the host. */
  readonly cpuSeconds: number;
}

export interface LaneOptions {
  readonly boot: Boot;
  /** How many machines at most at a time. */
  readonly machines: number;
  /** How often a file that failed is run again. */
  readonly runsAgain: number;
  /** When nothing further is begun, by performance.now(): that is skipped, and said to be. */
  readonly deadlineMs: number;
  /** What was begun may go on for so long after the deadline; then it is cut off, the rest of it skipped. */
  readonly graceMs: number;
  readonly print: (layout: Layout, line: string) => void;
}

/** Runs all of it. Each has an outcome, whatever happens to the machines. */
export async function runLanes(
  all: readonly GuestFiles[],
  options: LaneOptions,
): Promise<Outcome[]> {
  const waiting = [...all];
  const outcomes: Outcome[] = [];
  const lanes = Array.from({ length: options.machines }, async () => {
    const lane = new Lane(options);
    try {
      for (let files = lane.choose(waiting); files !== undefined; files = lane.choose(waiting)) {
        outcomes.push(await lane.run(files));
      }
    } finally {
      await lane.end();
    }
  });
  await Promise.all(lanes);
  return outcomes;
}

/** One machine at a time. */
class Lane {
  readonly #options: LaneOptions;
  #machine: Machine | undefined;
  #layout: Layout | undefined;
  #cpuSeconds = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Takes the next out of `waiting`: of the machine's layout, as long as there is one. */
  choose(waiting: GuestFiles[]): GuestFiles | undefined {
    const same = waiting.findIndex((files) => files.layout === this.#layout);
    return waiting.splice(Math.max(same, 0), 1)[0];
  }

  async run(files: GuestFiles): Promise<Outcome> {
    const startMs = performance.now();
    if (this.#late()) {
      this.#options.print(files.layout, `skipped, as no time is left: ${files.paths.join(" ")}`);
      const counts = { ...NO_COUNTS, skipped: files.paths.length };
      return { files, counts, status: 0, seconds: 0, cpuSeconds: 0 };
    }
    this.#cpuSeconds = 0;
    const results = (await this.#once(files)).map((result) => ({ ...result, unsteady: false }));
    for (const [index, result] of results.entries()) {
      let again: FileResult = result;
      for (let run = 0; again.counts.failed > 0 && run < this.#options.runsAgain; run++) {
        if (this.#late()) break;
        // what belongs to no file is run again as a whole
        const paths = result.path === "" ? files.paths : [result.path];
        again = whole(result.path, await this.#once({ ...files, paths }));
        if (again.counts.failed === 0 && again.status === 0)
          results[index] = { ...again, unsteady: true };
      }
    }
    const seconds = (performance.now() - startMs) / 1000;
    const cpuSeconds = this.#cpuSeconds;
    const unsteady = results.filter((each) => each.unsteady);
    const counts = {
      ...sum(results.map((result) => result.counts)),
      unsteady: unsteady.map(({ path }) => `${files.layout}: ${path || files.suite}`),
    };
    const took = `${seconds.toFixed(0)} s, ${cpuSeconds.toFixed(0)} s of CPU`;
    this.#options.print(files.layout, `${files.suite}: ${closingLine(counts)} (${took})`);
    const status = results.findLast((result) => result.counts.failed > 0)?.status ?? 0;
    return { files, counts, status, seconds, cpuSeconds };
  }

  /** Runs files in this lane's machine, which ends with them if one fails: it may have left anything. */
  async #once(files: GuestFiles): Promise<FileResult[]> {
    const print = (line: string): void => this.#options.print(files.layout, line);
    print(`=== ${files.paths.join(" ")}`);
    let results: FileResult[] | undefined;
    try {
      if (this.#layout !== files.layout) await this.end();
      this.#layout = files.layout;
      results = await this.#inMachine(files, print);
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
      print(`the machine failed: ${error.message}`);
    }
    results ??= files.paths.map((path) => ({
      path,
      counts: { ...NO_COUNTS, failed: 1 },
      status: 1,
    }));
    if (results.some((result) => result.counts.failed > 0)) await this.end();
    return results;
  }

  async #inMachine(files: GuestFiles, print: (line: string) => void): Promise<FileResult[]> {
    const machine = (this.#machine ??= await this.#options.boot({ layout: files.layout }));
    const before = machine.cpuSeconds();
    const leftMs = this.#options.deadlineMs + this.#options.graceMs - performance.now();
    const results = await runGuestFiles(machine, files, leftMs, print);
    this.#cpuSeconds += machine.cpuSeconds() - before;
    return results;
  }

  #late(): boolean {
    return performance.now() > this.#options.deadlineMs;
  }

  async end(): Promise<void> {
    const machine = this.#machine;
    this.#machine = undefined;
    await machine?.stop();
  }
}

/** What several files came to, as one. Of a run again of all of them only failures count twice. */
function whole(path: string, results: readonly FileResult[]): FileResult {
  const counts = sum(results.map((result) => result.counts));
  const status = results.at(-1)?.status ?? 1;
  return { path, status, counts: path === "" ? { ...NO_COUNTS, failed: counts.failed } : counts };
}
