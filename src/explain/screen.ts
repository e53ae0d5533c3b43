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
  const head = ["NAME", "CPU", "", "MEM", "", "READS/S"];
  const lines = [fit(size.title, size.columns), row(head, nameWidth, size)];
  const sorted = [...rows].sort((a, b) => shareOf(b, size) - shareOf(a, size));
  const room = Math.max(0, size.rows - lines.length - 1);
  for (const each of sorted.slice(0, room)) lines.push(row(cells(each, size), nameWidth, size));
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

function cells(live: LiveRow, size: ScreenSize): string[] {
  const cpu = `${live.cpuUse.toFixed(2)}/${short(cpuLimit(live, size))}`;
  const memory = `${sizeText(live.memoryBytes)}/${sizeText(memoryLimit(live, size))}`;
  const reads = live.readsPerSecond === null ? "-" : live.readsPerSecond.toFixed(1);
  return [
    printable(`${live.runtime}:${live.name}`),
    bar(cpuShare(live, size)),
    cpu,
    bar(memoryShare(live, size)),
    memory,
    reads.slice(0, 7).padStart(7),
  ];
}

/** One line; columns for which a narrow terminal has no room are left out, the last first. */
function row(texts: readonly string[], nameWidth: number, { columns, color }: ScreenSize): string {
  const widths = [nameWidth, BAR + 2, 9, BAR + 2, 11, 7];
  let line = "";
  let used = -1;
  for (const [i, width] of widths.entries()) {
    used += width + 1;
    if (used > columns) break;
    const cell = fit(texts[i] ?? "", width).padEnd(width);
    line += `${i === 0 ? "" : " "}${color ? painted(cell) : cell}`;
  }
  return line.trimEnd();
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

/** `[||||        ]`, `BAR` columns between the brackets. */
function bar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR);
  return `[${"|".repeat(full)}${" ".repeat(BAR - full)}]`;
}

/** Bars in the hue of how full they are; other cells as they are. */
function painted(cell: string): string {
  const [, marks, rest] = /^\[(\|+)( *\])$/.exec(cell) ?? [];
  if (marks === undefined) return cell;
  const share = marks.length / BAR;
  const hue = share > 0.9 ? RED : share > 0.7 ? YELLOW : GREEN;
  return `[\u001b[${hue}m${marks}\u001b[0m${rest}`;
}

function fit(text: string, columns: number): string {
  return text.length <= columns ? text : text.slice(0, columns);
}
