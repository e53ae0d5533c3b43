/**
 * Memory of a cgroup v1 by NUMA node, Documentation/admin-guide/cgroup-v1/memory.rst section 5.6,
 * `memory.numa_stat`:
 *
 *     file=33 N0=33
 *     hierarchical_total=30037 N0=30037
 *     hierarchical_file=22696 N0=22696
 *     hierarchical_anon=2727 N0=2727
 *     hierarchical_unevictable=4614 N0=4614
 *
 * Pages; the hierarchical lines count the cgroups below, too. `file` and `anon` are what is on the
 * LRU lists (so shared memory is anon here, while memory.stat has it in `cache`); they are called
 * `lru_file` and `lru_anon` in the reading, for v2's lines of their names mean something else.
 */
import { parseNumaLines } from "../v2/numa.ts";
import type { NumaReading } from "../types.ts";

/** Lines that count, and what they are called in the reading. */
const LINES: Readonly<Record<string, string>> = {
  hierarchical_anon: "lru_anon",
  hierarchical_file: "lru_file",
  hierarchical_unevictable: "unevictable",
};

/** @param pageBytes the kernel's page size */
export function parseNumaStatV1(text: string, pageBytes: number): NumaReading {
  return parseNumaLines(text, (name) => LINES[name], pageBytes);
}
