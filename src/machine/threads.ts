/**
 * How many threads of a container run or wait, right now. On v1 the kernel tells by cgroup; on v2 each
 * thread is looked at: a process of one thread costs one read, others one more for each thread.
 */
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import type { Container } from "../caller/container.ts";
import { mainHierarchy } from "../cgroup/container.ts";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { parsePids, subdirectories } from "../cgroup/processes.ts";
import { parseProcessStat, type ProcessStat } from "../host/proc_stat.ts";
import { parseProcessStatus } from "../host/proc_status.ts";
import { opening } from "../sys/exhaustion.ts";
import { tryReadFile } from "../sys/read.ts";
import type { Host } from "./host.ts";
import type { ThreadCounts } from "./load.ts";

/** Room for a line's beginning: the pid, and a name of at most 64 bytes. */
const line = Buffer.alloc(128);
const CLOSING_PARENTHESIS = 0x29;

/** Processes and threads that vanish meanwhile are left out. */
export function countThreads(host: Host, container: Container): ThreadCounts {
  return askKernel(host, container) ?? lookAtEach(host.procRoot, container);
}

/**
 * v1: one question for each cgroup. Taken only if it tells of all threads there are, for those that it
 * is silent about may be waiting as well.
 */
function askKernel(host: Host, container: Container): ThreadCounts | undefined {
  const { cgroupStats } = host;
  const { paths } = container;
  const hierarchy = mainHierarchy([...paths.keys()], paths);
  if (cgroupStats === undefined || hierarchy?.version !== 1) return undefined;
  const top = cgroupDirectory(hierarchy, paths.get(hierarchy) ?? "/");
  const expected = container.cgroups.threadCount();
  if (top === undefined || expected === undefined) return undefined;
  const counts = { running: 0, blocked: 0, threads: 0 };
  let youngest = 0;
  const pending = [top];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const states = cgroupStats.ask(directory);
    if (states === undefined) return undefined;
    counts.running += states.running;
    counts.blocked += states.blocked;
    counts.threads += states.threads;
    // Pids count up: the highest is the youngest's, but for the moment after they wrap around.
    for (const pid of parsePids(tryReadFile(`${directory}/cgroup.procs`) ?? "")) {
      youngest = Math.max(youngest, pid);
    }
    pending.push(...subdirectories(directory));
  }
  if (counts.threads < expected) return undefined;
  return { ...counts, lastPid: pidInContainer(host.procRoot, youngest) };
}

function lookAtEach(procRoot: string, container: Container): ThreadCounts {
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
    return opening(() => readdirSync(`${procRoot}/${pid}/task`));
  } catch {
    return [];
  }
}

/** Only the letter behind the name: of a thousand threads nothing else is wanted. "" if it is gone. */
function stateAt(path: string): string {
  let fd = -1;
  try {
    fd = opening(() => openSync(path, "r"));
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
