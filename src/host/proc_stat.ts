/**
 * `/proc/<pid>/stat`, one line of a process or thread, proc(5):
 *
 *     6543 (cat) R 6511 6511 3262 0 -1 4194304 114 0 0 0 0 0 0 0 20 0 1 0 133566 3133440 391 ...
 *
 * Fields are numbered from 1: pid, comm, state, ppid, ... 14 utime, 15 stime, ... 20 num_threads,
 * ... 22 starttime; times in USER_HZ ticks (1/100 s), starttime since boot, and in the reader's
 * time namespace. A process names itself: comm may hold spaces, parentheses and newlines, so what
 * follows is found behind the last `)`.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";
import { Scanner } from "./scanner.ts";

export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  /** R running, S sleeping, D in uninterruptible sleep, Z zombie, T stopped, I idle ... */
  readonly state: string;
  readonly parentPid: number;
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly threads: number;
  /** Since boot, 1/100 s. */
  readonly startTicks: number;
}

/** @throws on a missing process, ParseError on a malformed file */
export function readProcessStat(procRoot: string, pid: number | "self"): ProcessStat {
  return parseProcessStat(readFile(`${procRoot}/${pid}/stat`));
}

/** Also for `/proc/<pid>/task/<tid>/stat`. @throws ParseError */
export function parseProcessStat(text: string): ProcessStat {
  const open = text.indexOf(" (");
  const close = text.lastIndexOf(")");
  if (open < 0 || close < open) throw new ParseError("process stat", "a name in parentheses", text);
  const scanner = new Scanner("process stat", text);
  const pid = scanner.needNumber("a pid");
  scanner.pos = close + 1;
  const state = scanner.word();
  if (state.length !== 1) throw scanner.error("a state of one letter");
  const parentPid = scanner.needNumber("a parent pid");
  // 5 pgrp ... 13 cmajflt; tpgid (8) is -1 without a terminal.
  skipFields(scanner, 9);
  const userTicks = scanner.needNumber("utime");
  const systemTicks = scanner.needNumber("stime");
  skipFields(scanner, 4);
  const threads = scanner.needNumber("num_threads");
  skipFields(scanner, 1);
  const startTicks = scanner.needNumber("starttime");
  return {
    pid,
    comm: text.slice(open + 2, close),
    state,
    parentPid,
    userTicks,
    systemTicks,
    threads,
    startTicks,
  };
}

function skipFields(scanner: Scanner, count: number): void {
  for (let i = 0; i < count; i++) scanner.word();
}

/** Only the state, for counting: the letter behind the last `)`, or "" in a malformed text. */
export function processState(text: string): string {
  return text[text.lastIndexOf(")") + 2] ?? "";
}
