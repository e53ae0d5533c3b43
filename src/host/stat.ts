/**
 * `/proc/stat`, Documentation/filesystems/proc.rst section 1.7:
 *
 *     cpu  3393 0 2226 260540 332 0 40 12 0 0
 *     cpu0 1219 0 896 131102 17 0 11 4 0 0
 *     cpu1 2174 0 1329 129438 314 0 29 8 0 0
 *     intr 195000 0 0 0 0 ...
 *     ctxt 415160
 *     btime 1795432057
 *     processes 6519
 *     procs_running 2
 *     procs_blocked 0
 *     softirq 121093 0 18606 4 4525 37790 0 2 35164 0 25002
 *
 * CPU columns: user nice system idle iowait irq softirq steal guest guest_nice, in USER_HZ ticks
 * (1/100 s); guest times are contained in user and nice. Only online CPUs have a row. btime in
 * seconds since the epoch.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";
import { Scanner } from "./scanner.ts";

/** Positions in a row of CPU times. */
export const CPU_COLUMN = {
  user: 0,
  nice: 1,
  system: 2,
  idle: 3,
  iowait: 4,
  irq: 5,
  softirq: 6,
  steal: 7,
  guest: 8,
  guestNice: 9,
} as const;

/** Columns of a row; older kernels' missing ones are 0. */
export const CPU_COLUMNS = 10;

/** One CPU's row. */
export interface CpuRow {
  readonly cpu: number;
  /** Ticks by column, CPU_COLUMNS of them. */
  readonly ticks: readonly number[];
}

export interface ProcStat {
  /** The `cpu` row. */
  readonly totalTicks: readonly number[];
  /** In the file's order, which is ascending. */
  readonly cpus: readonly CpuRow[];
  /** Everything below the CPU rows, verbatim: what a reader of the host's values gets. */
  readonly rest: string;
  /** All interrupts since boot. */
  readonly interrupts: number;
  readonly contextSwitches: number;
  readonly btimeSeconds: number;
  /** Forks since boot. */
  readonly processes: number;
  readonly procsRunning: number;
  readonly procsBlocked: number;
  /** The total, then by kind. */
  readonly softirqs: readonly number[];
}

/** @throws on a missing file, ParseError on a malformed one */
export function readStat(procRoot: string): ProcStat {
  return parseStat(readFile(`${procRoot}/stat`));
}

/** The `intr` line, thousands of numbers on a large machine, is not taken apart. @throws ParseError without CPU rows */
export function parseStat(text: string): ProcStat {
  const scanner = new Scanner("stat", text);
  if (!scanner.take("cpu ")) throw scanner.error('the row "cpu"');
  const totalTicks = ticks(scanner);
  scanner.nextLine();
  const cpus: CpuRow[] = [];
  while (scanner.take("cpu")) {
    const cpu = scanner.needNumber("a CPU number");
    cpus.push({ cpu, ticks: ticks(scanner) });
    scanner.nextLine();
  }
  if (cpus.length === 0) throw new ParseError("stat", "a row of a CPU", text);
  return { totalTicks, cpus, rest: text.slice(scanner.pos), ...parseRest(scanner) };
}

function ticks(scanner: Scanner): number[] {
  const values: number[] = [];
  for (let i = 0; i < CPU_COLUMNS; i++) {
    const value = scanner.number();
    if (Number.isNaN(value)) {
      if (i < 4) throw scanner.error("four CPU times at least");
      values.push(0);
    } else values.push(value);
  }
  return values;
}

function parseRest(scanner: Scanner): Omit<ProcStat, "totalTicks" | "cpus" | "rest"> {
  let interrupts = 0;
  let contextSwitches = 0;
  let btimeSeconds = 0;
  let processes = 0;
  let procsRunning = 0;
  let procsBlocked = 0;
  let softirqs: readonly number[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    if (scanner.take("intr ")) interrupts = scanner.needNumber("a count of interrupts");
    else if (scanner.take("ctxt ")) contextSwitches = scanner.needNumber("a count");
    else if (scanner.take("btime ")) btimeSeconds = scanner.needNumber("the time of boot");
    else if (scanner.take("processes ")) processes = scanner.needNumber("a count of forks");
    else if (scanner.take("procs_running ")) procsRunning = scanner.needNumber("a count");
    else if (scanner.take("procs_blocked ")) procsBlocked = scanner.needNumber("a count");
    else if (scanner.take("softirq ")) softirqs = scanner.numbers();
  }
  return {
    interrupts,
    contextSwitches,
    btimeSeconds,
    processes,
    procsRunning,
    procsBlocked,
    softirqs,
  };
}
