/** A whole benchmark result, as it is written to bench/results. */
import type { Machine } from "./machine.ts";
import { type Case, type Measurement, type Round } from "./measurement.ts";
import type { ListResult } from "./scenarios/lists.ts";
import type { MemoryResult } from "./scenarios/many.ts";
import type { StartResult } from "./scenarios/start.ts";
import type { SyscallResult } from "./scenarios/syscalls.ts";
import { pairedRatio, type Spread, spread } from "./statistics.ts";

export interface BenchResult {
  readonly machine: Machine;
  readonly secondsPerRound: number;
  readonly measurements: readonly Measurement[];
  /** Runs in which a read failed or was wrong; a result with any is none. */
  readonly wrong: readonly string[];
  readonly memory: readonly MemoryResult[];
  readonly lists: readonly ListResult[];
  readonly starts: readonly StartResult[];
  readonly syscalls: readonly SyscallResult[];
}

/** A number of a round. */
export type Figure = "opsPerSecond" | "p50Us" | "p99Us" | "maxUs" | "serverCpuUs";

/** The measurement that agrees with `wanted` in all it names. */
export function find(result: BenchResult, wanted: Partial<Case>): Measurement | undefined {
  return result.measurements.find((measurement) =>
    Object.entries(wanted).every(([key, value]) => measurement[key as keyof Case] === value),
  );
}

/** All rounds of one figure. */
export function values(measurement: Measurement | undefined, figure: Figure): number[] {
  const rounds: readonly Round[] = measurement?.rounds ?? [];
  return rounds.map((round) => round[figure]).filter((value) => value !== undefined);
}

/** One figure over all rounds. */
export function figure(measurement: Measurement | undefined, name: Figure): Spread {
  return spread(values(measurement, name));
}

/** `of` in relation to `to`, round by round; undefined where either was not measured. */
export function ratio(
  result: BenchResult,
  name: Figure,
  of: Partial<Case>,
  to: Partial<Case>,
): Spread | undefined {
  const ours = values(find(result, of), name);
  const theirs = values(find(result, to), name);
  return ours.length > 0 && theirs.length > 0 ? pairedRatio(ours, theirs) : undefined;
}
