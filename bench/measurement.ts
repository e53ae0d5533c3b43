/** One measured case and its rounds. */
import type { Container } from "../test/support/container.ts";
import type { Server } from "../test/support/server.ts";
import { type LoadOptions, type LoadResult, runLoad } from "./load.ts";
import { cpuTimeNs } from "./processes.ts";
import type { SubjectName } from "./subjects.ts";

/** What was done: the same case of two subjects can be compared. */
export interface Case {
  readonly scenario: string;
  readonly subject: SubjectName;
  readonly file: string;
  readonly mode: "open" | "held";
  readonly readers: number;
  /** Cgroup levels from the root to the container. */
  readonly depth: number;
  /** Live containers. */
  readonly containers: number;
}

/** One round of a case. */
export interface Round {
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** CPU time of all the server's processes per read; absent for the kernel. */
  readonly serverCpuUs?: number;
  readonly ops: number;
}

/** A case with all its rounds. */
export interface Measurement extends Case {
  readonly rounds: Round[];
}

/** Measurements by case, in the order they were first made. */
export class Measurements {
  readonly #byKey = new Map<string, Measurement>();

  add(of: Case, round: Round): void {
    const key = JSON.stringify(of);
    const measurement = this.#byKey.get(key) ?? { ...of, rounds: [] };
    measurement.rounds.push(round);
    this.#byKey.set(key, measurement);
  }

  all(): Measurement[] {
    return [...this.#byKey.values()];
  }
}

/**
 * Runs one round of load and accounts for it.
 * @throws Error naming the content if any read failed or was wrong: speed by being wrong is none
 */
export function measure(
  container: Container,
  path: string,
  options: LoadOptions,
  server: Server | undefined,
): Round {
  const before = server && cpuTimeNs(server.pids());
  const result = runLoad(container, path, options);
  const after = server && cpuTimeNs(server.pids());
  return roundOf(path, result, after === undefined ? undefined : after - (before ?? 0));
}

/** Turns a generator's result into a round. @throws Error if a read failed or was wrong */
export function roundOf(path: string, result: LoadResult, cpuNs: number | undefined): Round {
  if (result.errors + result.wrong > 0 || result.ops === 0) {
    throw new Error(
      `${path}: of ${result.ops} reads ${result.errors} failed and ${result.wrong} were wrong, ` +
        `the first: ${JSON.stringify(result.firstWrong)}`,
    );
  }
  return {
    opsPerSecond: result.ops / result.seconds,
    p50Us: result.p50Ns / 1000,
    p99Us: result.p99Ns / 1000,
    maxUs: result.maxNs / 1000,
    ...(cpuNs === undefined ? {} : { serverCpuUs: cpuNs / result.ops / 1000 }),
    ops: result.ops,
  };
}
