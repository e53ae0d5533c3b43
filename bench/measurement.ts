/** One measured case and its rounds. */
import type { Container } from "../test/support/container.ts";
import { type LoadOptions, type LoadResult, runLoad } from "./load.ts";
import { cpuTimeNs } from "./processes.ts";
import type { Serving, SubjectName } from "./subjects.ts";

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

/** A read failed or told something wrong: speed by being wrong is none. */
export class WrongContentError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "WrongContentError";
  }
}

/** Measurements by case, in the order they were first made. */
export class Measurements {
  /** Runs whose content was wrong: they have no figures, and the benchmark fails. */
  readonly wrong: string[] = [];
  readonly #byKey = new Map<string, Measurement>();

  /** Measures a round and adds it; a round with wrong content is remembered as such. */
  take(of: Case, round: () => Round): void {
    try {
      this.add(of, round());
    } catch (error) {
      if (!(error instanceof WrongContentError)) throw error;
      const { subject, readers, mode } = of;
      this.wrong.push(`${subject}, ${readers} readers, ${mode}: ${error.message}`);
    }
  }

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
 * @throws WrongContentError naming the content if any read failed or was wrong
 */
export function measure(
  container: Container,
  path: string,
  options: LoadOptions,
  server: Serving | undefined,
): Round {
  const before = server && cpuTimeNs(server.pids());
  const result = runLoad(container, path, options);
  const after = server && cpuTimeNs(server.pids());
  return roundOf(path, result, after === undefined ? undefined : after - (before ?? 0));
}

/** Turns a generator's result into a round. @throws WrongContentError if a read failed or was wrong */
export function roundOf(path: string, result: LoadResult, cpuNs: number | undefined): Round {
  if (result.errors + result.wrong > 0 || result.ops === 0) {
    throw new WrongContentError(
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
