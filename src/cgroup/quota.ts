/** CPU bandwidth over all levels: the level that allows least in proportion to its period. */
import type { CpuQuota } from "./types.ts";

/** One level's share of CPU time. */
export interface Bandwidth {
  /** quota / period; Infinity where the level sets none. */
  readonly cpus: number;
  readonly quotaUs: number;
  readonly periodUs: number;
  readonly file: string | undefined;
}

/** The kernel's default period, for levels without a quota. */
const DEFAULT_PERIOD_US = 100_000;

export const NO_BANDWIDTH: Bandwidth = {
  cpus: Infinity,
  quotaUs: Infinity,
  periodUs: DEFAULT_PERIOD_US,
  file: undefined,
};

/** A quota of 0 or less, or one without a period, is none: the kernel lets nobody set it. */
export function bandwidth(quotaUs: number, periodUs: number, file: string): Bandwidth {
  if (!(quotaUs > 0 && periodUs > 0 && Number.isFinite(quotaUs) && Number.isFinite(periodUs))) {
    return NO_BANDWIDTH;
  }
  return { cpus: quotaUs / periodUs, quotaUs, periodUs, file };
}

/** @param levels the cgroup's own first; of equal ones it wins */
export function tightest(levels: readonly Bandwidth[]): CpuQuota {
  let least = NO_BANDWIDTH;
  for (const level of levels) if (level.cpus < least.cpus) least = level;
  return { ...least, levels: levels.length };
}
