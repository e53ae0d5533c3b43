/** One screen of `lxcfs top`: lines of at most so many columns, bars against limits, most used first. */
import { printable, sizeText, type SurveyRow } from "./survey.ts";

/** A row with what it used since the screen before. */
export interface LiveRow extends SurveyRow {
  /** CPUs' worth of time. */
  readonly cpuUse: number;
  readonly readsPerSecond: number | null;
}

/** What is left of two moments: how much CPU time went by in between. */
export function withUse(
  now: readonly SurveyRow[],
  before: ReadonlyMap<string, number>,
  seconds: number,
  readsPerSecond: (container: string | null) => number | null,
): LiveRow[] {
  return now.map((row) => {
    const earlier = before.get(rowKey(row));
    const usedUs = earlier === undefined ? 0 : (row.cpuUsageUs ?? 0) - earlier;
    const cpuUse = seconds > 0 ? Math.max(0, usedUs) / 1e6 / seconds : 0;
    return { ...row, cpuUse, readsPerSecond: readsPerSecond(row.container) };
  });
}

export function rowKey({ runtime, id, pid }: SurveyRow): string {
  return `${runtime} ${id} ${pid}`;
}

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
  /** What a container without a limit may use. */
  readonly hostMemoryBytes: number;
  readonly hostCpus: number;
  /** What the first line says. */
  readonly title: string;
}

const BAR = 12;
const GREEN = 32;
const YELLOW = 33;
const RED = 31;

/** Lines of the screen, no more than fit. */
export function screenLines(rows: readonly LiveRow[], size: ScreenSize): string[] {
  const nameWidth = Math.max(8, size.columns - 2 * (BAR + 2) - 32);
  const head = [
    "NAME".padEnd(nameWidth),
    "CPU".padEnd(BAR + 2),
    "".padEnd(9),
    "MEM".padEnd(BAR + 2),
    "".padEnd(11),
    "READS/S",
  ];
  const lines = [fit(size.title, size.columns), fit(head.join(" "), size.columns)];
  const sorted = [...rows].sort((a, b) => shareOf(b, size) - shareOf(a, size));
  const room = Math.max(0, size.rows - lines.length - 1);
  for (const row of sorted.slice(0, room)) lines.push(line(row, size, nameWidth));
  if (sorted.length === 0) lines.push(fit("no container runs", size.columns));
  if (sorted.length > room) lines.push(fit(`... and ${sorted.length - room} more`, size.columns));
  return lines;
}

/** The fuller of CPU and memory, which is what the list is sorted by. */
function shareOf(row: LiveRow, size: ScreenSize): number {
  return Math.max(cpuShare(row, size), memoryShare(row, size));
}

function cpuLimit(row: LiveRow, size: ScreenSize): number {
  return Math.min(row.cpuQuota ?? Infinity, row.cpus ?? Infinity, size.hostCpus);
}

function cpuShare(row: LiveRow, size: ScreenSize): number {
  return row.cpuUse / Math.max(0.01, cpuLimit(row, size));
}

function memoryLimit(row: LiveRow, size: ScreenSize): number {
  return Math.min(row.memoryLimitBytes ?? Infinity, size.hostMemoryBytes);
}

function memoryShare(row: LiveRow, size: ScreenSize): number {
  return (row.memoryBytes ?? 0) / Math.max(1, memoryLimit(row, size));
}

function line(row: LiveRow, size: ScreenSize, nameWidth: number): string {
  const cpu = `${row.cpuUse.toFixed(2)}/${short(cpuLimit(row, size))}`;
  const memory = `${sizeText(row.memoryBytes)}/${sizeText(memoryLimit(row, size))}`;
  const reads = row.readsPerSecond === null ? "-" : row.readsPerSecond.toFixed(1);
  return [
    fit(printable(`${row.runtime}:${row.name}`), nameWidth).padEnd(nameWidth),
    bar(cpuShare(row, size), size.color),
    cpu.slice(0, 9).padEnd(9),
    bar(memoryShare(row, size), size.color),
    memory.slice(0, 11).padEnd(11),
    reads.slice(0, 7).padStart(7),
  ].join(" ");
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** `[||||        ]`, `BAR` columns between the brackets. */
function bar(share: number, color: boolean): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  const marks = "|".repeat(full);
  const hue = share > 0.9 ? RED : share > 0.7 ? YELLOW : GREEN;
  const painted = color && full > 0 ? `\u001b[${hue}m${marks}\u001b[0m` : marks;
  return `[${painted}${" ".repeat(BAR - full)}]`;
}

function fit(text: string, columns: number): string {
  return text.length <= columns ? text : text.slice(0, columns);
}
