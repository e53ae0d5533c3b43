/**
 * Whether a process still does anything, by `/proc/<pid>/stat` (proc_stat.ts shows one). Asked by a
 * file, because a serving thread may send no signals, not even the one that asks.
 */
import { tryReadFile } from "../sys/read.ts";
import { parseProcessStat } from "./proc_stat.ts";

/**
 * One that has ended is there until its parent has taken note, which a first process of a machine or
 * container may do late or never: a zombie without another thread is as good as gone. While another
 * thread waits in the kernel it is not: what that one is at may still be done.
 * @param pid of a process or a thread
 */
export function isAlive(procRoot: string, pid: number): boolean {
  const text = tryReadFile(`${procRoot}/${pid}/stat`);
  if (text === undefined) return false;
  const { state, threads } = parseProcessStat(text);
  return state !== "Z" || threads > 1;
}
