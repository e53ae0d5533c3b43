/**
 * How many threads of a container run or wait, right now: one look at each of its threads.
 * A process of one thread costs one read; others one more for each thread.
 */
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import type { Container } from "../caller/container.ts";
import { parseProcessStat, type ProcessStat } from "../host/proc_stat.ts";
import { parseProcessStatus } from "../host/proc_status.ts";
import { tryReadFile } from "../sys/read.ts";
import type { ThreadCounts } from "./load.ts";

/** Room for a line's beginning: the pid, and a name of at most 64 bytes. */
const line = Buffer.alloc(128);
const CLOSING_PARENTHESIS = 0x29;

/** Processes and threads that vanish meanwhile are left out. */
export function countThreads(procRoot: string, container: Container): ThreadCounts {
  const counts = { running: 0, blocked: 0, threads: 0 };
  let youngest = 0;
  let youngestTicks = -1;
  for (const pid of container.cgroups.processes()) {
    const stat = tryParse(`${procRoot}/${pid}/stat`);
    if (stat === undefined) continue;
    if (stat.startTicks >= youngestTicks) {
      youngest = pid;
      youngestTicks = stat.startTicks;
    }
    if (stat.threads <= 1) count(counts, stat.state);
    else {
      for (const tid of listTasks(procRoot, pid)) {
        const state = stateAt(`${procRoot}/${pid}/task/${tid}/stat`);
        if (state !== "") count(counts, state);
      }
    }
  }
  return { ...counts, lastPid: pidInContainer(procRoot, youngest) };
}

function count(counts: { running: number; blocked: number; threads: number }, state: string): void {
  counts.threads++;
  if (state === "R") counts.running++;
  else if (state === "D") counts.blocked++;
}

function listTasks(procRoot: string, pid: number): string[] {
  try {
    return readdirSync(`${procRoot}/${pid}/task`);
  } catch {
    return [];
  }
}

/** Only the letter behind the name: of a thousand threads nothing else is wanted. "" if it is gone. */
function stateAt(path: string): string {
  let fd = -1;
  try {
    fd = openSync(path, "r");
    const length = readSync(fd, line, 0, line.length, null);
    const close = line.lastIndexOf(CLOSING_PARENTHESIS, length);
    return close < 0 ? "" : String.fromCharCode(line[close + 2] ?? 0);
  } catch {
    return "";
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

function tryParse(path: string): ProcessStat | undefined {
  const text = tryReadFile(path);
  if (text === undefined) return undefined;
  try {
    return parseProcessStat(text);
  } catch {
    return undefined;
  }
}

/** The process's number in its own pid namespace. */
function pidInContainer(procRoot: string, pid: number): number {
  const text = pid > 0 ? tryReadFile(`${procRoot}/${pid}/status`) : undefined;
  if (text === undefined) return 1;
  try {
    return parseProcessStatus(text).namespacePids.at(-1) ?? pid;
  } catch {
    return 1;
  }
}
