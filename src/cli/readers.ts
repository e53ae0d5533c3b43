/** Reads by container as the server counts them, and from two counts how many a second. */
import type { Status } from "../daemon/status.ts";

/** The counts of one moment. */
export interface Readers {
  /**
   * @param container its directory below `containers/`
   * @returns reads per second since `before`; 0 for one that is not among those that read most
   */
  perSecondSince(before: Readers, container: string | null): number;
  readonly atMs: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** @returns `undefined` where no server answers, or an older one that does not count */
export async function readersOf(
  ask: () => Promise<Status | undefined>,
): Promise<Readers | undefined> {
  // An older server's status has no such field.
  const status = (await ask()) as Partial<Status> | undefined;
  const counts = status?.readers;
  if (counts === undefined) return undefined;
  const atMs = performance.now();
  return {
    counts,
    atMs,
    perSecondSince(before, container) {
      if (container === null) return 0;
      const grown = (counts[container] ?? 0) - (before.counts[container] ?? 0);
      const seconds = (atMs - before.atMs) / 1000;
      return seconds > 0 ? Math.max(0, grown) / seconds : 0;
    },
  };
}
