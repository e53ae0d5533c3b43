/** Medians with their spread: one number of a benchmark says nothing. */

/** A median and the range the rounds fell in. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? Number.NaN;
  const lower = sorted[(sorted.length - 1) >> 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

/** Median, least and most of one value over all rounds. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * Ratios round by round (what ran next to each other is compared, so that a slow minute of the
 * machine cancels out), then their spread.
 */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Spread {
  const rounds = Math.min(ours.length, theirs.length);
  const ratios = Array.from({ length: rounds }, (_, i) => (ours[i] ?? 0) / (theirs[i] ?? 0));
  return spread(ratios.filter((ratio) => Number.isFinite(ratio)));
}
