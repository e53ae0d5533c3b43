/**
 * `/proc/<pid>/status`, a process or thread in words, proc(5):
 *
 *     Name:	cat
 *     State:	R (running)
 *     Tgid:	6541
 *     Pid:	6541
 *     PPid:	6511
 *     Uid:	0	0	0	0
 *     Gid:	0	0	0	0
 *     NSpid:	6541	17
 *     Threads:	1
 *
 * Uid and Gid: real, effective, saved, filesystem. NSpid: the pid in each nested pid namespace,
 * from the reader's own inwards. The name's backslashes and newlines are escaped.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

export interface ProcessStatus {
  readonly name: string;
  /** One letter, as in /proc/<pid>/stat. */
  readonly state: string;
  /** The process, where `pid` is a thread. */
  readonly tgid: number;
  readonly pid: number;
  readonly parentPid: number;
  /** Real, effective, saved, filesystem. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  /** One for each pid namespace, the reader's first; the last is what the process calls itself. */
  readonly namespacePids: readonly number[];
  readonly threads: number;
  /** CPUs it may run on, a kernel list (`0-3`). */
  readonly cpusAllowed: string;
}

/** @throws on a missing process, ParseError on a malformed file */
export function readProcessStatus(procRoot: string, pid: number | "self"): ProcessStatus {
  return parseProcessStatus(readFile(`${procRoot}/${pid}/status`));
}

/** @throws ParseError without Tgid and Pid */
export function parseProcessStatus(text: string): ProcessStatus {
  const pid = statusNumber(text, "Pid");
  const tgid = statusNumber(text, "Tgid");
  if (pid === undefined || tgid === undefined) {
    throw new ParseError("process status", "the lines Tgid and Pid", text);
  }
  return {
    name: statusField(text, "Name") ?? "",
    state: statusField(text, "State")?.[0] ?? "",
    tgid,
    pid,
    parentPid: statusNumber(text, "PPid") ?? 0,
    uids: statusNumbers(text, "Uid"),
    gids: statusNumbers(text, "Gid"),
    namespacePids: statusNumbers(text, "NSpid"),
    threads: statusNumber(text, "Threads") ?? 0,
    cpusAllowed: statusField(text, "Cpus_allowed_list") ?? "",
  };
}

/** One line's value, for callers that need no more than that; `undefined` if there is none. */
export function statusField(text: string, name: string): string | undefined {
  const key = `${name}:\t`;
  let at = text.startsWith(key) ? 0 : text.indexOf(`\n${key}`) + 1;
  if (at === 0 && !text.startsWith(key)) return undefined;
  at += key.length;
  const end = text.indexOf("\n", at);
  return text.slice(at, end < 0 ? text.length : end);
}

/** One line's number, `undefined` if there is none. */
export function statusNumber(text: string, name: string): number | undefined {
  const value = Number.parseInt(statusField(text, name) ?? "", 10);
  return value >= 0 ? value : undefined;
}

function statusNumbers(text: string, name: string): number[] {
  return (statusField(text, name) ?? "")
    .split(/\s+/)
    .map((word) => Number.parseInt(word, 10))
    .filter((number) => number >= 0);
}
