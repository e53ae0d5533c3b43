/**
 * What a server costs: CPU time and memory of its processes, from /proc.
 *
 * /proc/<pid>/task/<tid>/schedstat: `1234567 89 10`, the first number being nanoseconds on a CPU,
 * user and system together (Documentation/scheduler/sched-stats.rst).
 * /proc/<pid>/smaps_rollup: `Pss:   12345 kB`; /proc/<pid>/status: `RssAnon:  12345 kB`.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Memory of several processes together, in kB. */
export interface MemoryKb {
  readonly rssAnon: number;
  readonly rssFile: number;
  readonly pss: number;
}

/** CPU time all threads of `pids` have used so far, in nanoseconds. */
export function cpuTimeNs(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    for (const thread of tryList(`/proc/${pid}/task`)) {
      total += Number(tryRead(`/proc/${pid}/task/${thread}/schedstat`).split(" ")[0]);
    }
  }
  return total;
}

/** Memory of all `pids` together. */
export function memoryKb(pids: readonly number[]): MemoryKb {
  const total = { rssAnon: 0, rssFile: 0, pss: 0 };
  for (const pid of pids) {
    const status = tryRead(`/proc/${pid}/status`);
    total.rssAnon += kb(status, "RssAnon");
    total.rssFile += kb(status, "RssFile");
    total.pss += kb(tryRead(`/proc/${pid}/smaps_rollup`), "Pss");
  }
  return total;
}

/** The first word of each process's command, for saying which is which. */
export function commands(pids: readonly number[]): string[] {
  return pids.map((pid) => tryRead(`/proc/${pid}/comm`).trim());
}

function kb(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
}

/** A process may be gone between listing and reading. */
function tryRead(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function tryList(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
