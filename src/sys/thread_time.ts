/**
 * CPU time of the calling thread, `/proc/thread-self/schedstat` (Documentation/scheduler/sched-stats.rst):
 *
 *     231604912 1183408 231
 *
 * Nanoseconds on a CPU, nanoseconds of waiting for one, times it was put on one.
 */
import { tryReadFile } from "./read.ts";

/** Milliseconds; wall-clock ones from any origin where the kernel keeps no such account. */
export function threadCpuMs(procRoot = "/proc"): number {
  const ns = Number.parseInt(tryReadFile(`${procRoot}/thread-self/schedstat`) ?? "", 10);
  return ns > 0 ? ns / 1e6 : performance.now();
}
