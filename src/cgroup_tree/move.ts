/**
 * Moving a process: what a caller writes into `cgroup.procs`, `tasks` or `cgroup.threads`.
 *
 * Whether this user may move that process is the kernel's decision, made on a write with the caller's
 * credentials. Decided here is what the kernel can't know, as it sees a writer of the host: which
 * process the caller's number means, and that it is taken from the caller's own part of the tree.
 */
import { existsSync } from "node:fs";
import { isAtOrBelow } from "../caller/container_path.ts";
import { cgroupPaths } from "../cgroup/paths.ts";
import type { CgroupLayout } from "../cgroup/layout.ts";
import type { Hierarchy } from "../cgroup/types.ts";
import { statusNumber } from "../host/proc_status.ts";
import { errno, SystemError } from "../sys/errno.ts";
import { closeFd, pidfdAlive, pidfdOpen } from "../sys/native.ts";
import { tryReadFile } from "../sys/read.ts";
import type { Caller } from "./callers.ts";
import { parsePid } from "./decide.ts";

export interface Move {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly hierarchy: Hierarchy;
  readonly caller: Caller;
  readonly what: "process" | "thread";
  /** The server's number for what the caller calls `pid`. */
  readonly toHost: (pid: number) => number | undefined;
  readonly text: string;
  /**
   * Opens the file and writes to it, both with the caller's credentials: which of the two decides
   * depends on the kernel (5.16 took the opener's). `from`: the cgroup that the process is in, where
   * that was looked at.
   */
  readonly write: (text: string, from: string | undefined) => void;
  /** Writes a number to a file of the cgroup `path`, with the server's own credentials. */
  readonly putBack: (hostPid: number, path: string, file: string) => void;
}

/** @throws SystemError as write(2) would */
export function move(order: Move): void {
  const { procRoot, caller, what } = order;
  const wanted = parsePid(order.text);
  if (wanted === undefined) throw refusal(errno.EINVAL);
  const hostPid = wanted === 0 ? ownNumber(caller, what) : order.toHost(wanted);
  if (hostPid === undefined) throw refusal(errno.ESRCH);
  if (caller.isHost) {
    order.write(String(hostPid), undefined);
    return;
  }
  // The caller waits for our answer: its own number can't become another's.
  const process = wanted === 0 ? -1 : processOf(procRoot, hostPid);
  const pidfd = process > 0 ? pidfdOpen(process) : -1;
  try {
    // With the descriptor open, a number that still means the same is this process's.
    if (process > 0 && order.toHost(wanted) !== hostPid) throw refusal(errno.ESRCH);
    const from = pathOf(order, hostPid);
    if (from === undefined) throw refusal(errno.ESRCH);
    const root = caller.rootPath(order.hierarchy);
    if (root === "/" || !isAtOrBelow(from, root)) throw refusal(foreign(order.hierarchy));
    order.write(String(hostPid), from);
    if (pidfd >= 0 && !isStillOf(procRoot, process, pidfd, hostPid)) undoForeign(order, hostPid);
  } finally {
    if (pidfd >= 0) closeFd(pidfd);
  }
}

/** Whether a number is still that of a thread of the process it was looked up for. */
function isStillOf(procRoot: string, process: number, pidfd: number, hostPid: number): boolean {
  if (!pidfdAlive(pidfd)) return false;
  // While the process lives its number is its own, and so are the entries below it.
  return hostPid === process || existsSync(`${procRoot}/${process}/task/${hostPid}`);
}

/** What the kernel says of a process from outside: v2 as with `nsdelegate`. */
function foreign(hierarchy: Hierarchy): number {
  return hierarchy.version === 2 ? errno.ENOENT : errno.EACCES;
}

function ownNumber(caller: Caller, what: "process" | "thread"): number {
  return what === "thread" ? caller.tid : caller.identity().tgid;
}

function processOf(procRoot: string, hostPid: number): number {
  const status = tryReadFile(`${procRoot}/${hostPid}/status`);
  const process = status === undefined ? undefined : statusNumber(status, "Tgid");
  if (process === undefined) throw refusal(errno.ESRCH);
  return process;
}

function pathOf({ procRoot, layout, hierarchy }: Move, hostPid: number): string | undefined {
  const text = tryReadFile(`${procRoot}/${hostPid}/cgroup`);
  return text === undefined ? undefined : cgroupPaths(layout, text).get(hierarchy);
}

/**
 * What was to be moved ended between the last look and the write. If its number was given away at
 * once, to something outside, that was moved: it goes back to where who made it just now is, which
 * for a thread is its process, for a process its parent.
 */
function undoForeign(order: Move, hostPid: number): void {
  const { procRoot, hierarchy, caller } = order;
  const status = tryReadFile(`${procRoot}/${hostPid}/status`);
  if (status === undefined) return;
  const process = statusNumber(status, "Tgid") ?? 0;
  const isThread = process !== hostPid;
  const maker = isThread ? process : (statusNumber(status, "PPid") ?? 0);
  const from = maker === 0 ? undefined : pathOf(order, maker);
  if (from === undefined || isAtOrBelow(from, caller.rootPath(hierarchy))) return;
  const threads = hierarchy.version === 2 ? "cgroup.threads" : "tasks";
  order.putBack(hostPid, from, isThread ? threads : "cgroup.procs");
}

function refusal(code: number): SystemError {
  return new SystemError("move a process", code);
}
