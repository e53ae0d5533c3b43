/** What the memory.stat files of v1 and v2 have in common: counters of events among amounts of memory. */
import type { KeyedNumbers } from "../host/keyed_numbers.ts";

/** Amounts also begin with "p" and "zsw" (`percpu`, `pagetables`, `zswap`, `zswapped`): only these are events. */
const EVENT =
  /^(?:pg|workingset_|thp_|swpin|swpout|zswpin|zswpout|zswpwb|numa_|demote|oom|hugetlb_)/;

/**
 * The event counters of a memory.stat, by their v2 names.
 * @param prefix v1 marks the hierarchical lines with `total_`; others are left out
 */
export function eventsOf(table: KeyedNumbers, prefix: string): ReadonlyMap<string, number> {
  const events = new Map<string, number>();
  table.names.forEach((line, i) => {
    if (!line.startsWith(prefix)) return;
    const name = line.slice(prefix.length);
    if (EVENT.test(name)) events.set(name, table.values[i] ?? 0);
  });
  return events;
}
