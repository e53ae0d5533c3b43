/** What a container shows: all files of interest, read by one process inside, and what they must say. */
import assert from "node:assert/strict";
import { peerIsServer } from "./guest.ts";

/** Files by path, as read inside a container. */
export type View = ReadonlyMap<string, string>;

/** Runs a program inside a container and gives its output. */
export type Exec = (argv: readonly string[]) => string;

const FILES = [
  "/proc/meminfo",
  "/proc/cpuinfo",
  "/proc/stat",
  "/proc/uptime",
  "/proc/loadavg",
  "/proc/diskstats",
  "/proc/swaps",
  "/sys/devices/system/cpu/online",
];

/** Reads all files at once, by a shell: a process is dear in emulation. */
export const LOOK: string = `for f in ${FILES.join(" ")}; do echo "== $f"; cat "$f"; done`;

export function look(exec: Exec): View {
  return parseView(exec(["sh", "-c", LOOK]));
}

/** What LOOK has printed. */
export function parseView(printed: string): View {
  const view = new Map<string, string>();
  for (const part of printed.split(/^== /m).slice(1)) {
    const [path = "", ...lines] = part.split("\n");
    view.set(path, lines.join("\n"));
  }
  return view;
}

/** What a container should see. */
export interface Expectation {
  readonly memoryMib: number;
  readonly swapMib?: number;
  readonly cpus: number;
  /** Whether the container was given the files below /sys too. Default: it was. */
  readonly sys?: boolean;
  /** Upper bound of the container's age. */
  readonly uptimeSeconds: number;
}

/** Checks that the files agree with the container's limits and with each other. */
export function assertSees(view: View, expected: Expectation): void {
  assert.equal(memoryKb(view, "MemTotal"), expected.memoryMib * 1024, "MemTotal");
  assert.ok(memoryKb(view, "MemFree") <= expected.memoryMib * 1024, "MemFree");
  assert.ok(memoryKb(view, "MemAvailable") <= expected.memoryMib * 1024, "MemAvailable");
  if (expected.swapMib !== undefined && !peerIsServer) {
    assert.equal(memoryKb(view, "SwapTotal"), expected.swapMib * 1024, "SwapTotal");
  }
  const processors = [...text(view, "/proc/cpuinfo").matchAll(/^processor\s*: (\d+)$/gm)];
  assertNumbered(processors, expected.cpus, "processors of /proc/cpuinfo");
  const rows = [...text(view, "/proc/stat").matchAll(/^cpu(\d+) /gm)];
  assertNumbered(rows, expected.cpus, "rows of /proc/stat");
  if (expected.sys !== false) {
    assert.equal(cpuCount(text(view, "/sys/devices/system/cpu/online").trim()), expected.cpus);
  }
  const [uptime = Number.NaN, idle = Number.NaN] = numbersOf(text(view, "/proc/uptime"));
  assert.ok(uptime >= 0 && uptime <= expected.uptimeSeconds, `uptime ${uptime}`);
  assert.ok(idle >= 0, `idle time ${idle}`);
  // Attached files end with blanks: their size is constant.
  assert.match(text(view, "/proc/loadavg"), /^(\d+\.\d\d ){3}\d+\/\d+ \d+ *\n$/);
  assert.match(text(view, "/proc/swaps"), /^Filename\s+Type\s+Size\s+Used\s+Priority\n/);
  // only the disks that the container has used are shown: perhaps none
  for (const line of view.get("/proc/diskstats")?.trim().split("\n").filter(Boolean) ?? []) {
    assert.match(line, /^ *\d+ +\d+ \S+( \d+){11,17}$/, "line of /proc/diskstats");
  }
}

/** Checks that there are `count` CPUs, from 0 on without a hole. */
function assertNumbered(found: readonly RegExpExecArray[], count: number, what: string): void {
  const numbers = found.map((match, row) => (peerIsServer ? row : Number(match[1])));
  assert.deepEqual(numbers, [...Array(count).keys()], what);
}

/** A field of /proc/meminfo in kB. */
export function memoryKb(view: View, field: string): number {
  const match = new RegExp(`^${field}: +(\\d+) kB$`, "m").exec(text(view, "/proc/meminfo"));
  assert.ok(match, `/proc/meminfo has no ${field}`);
  return Number(match[1]);
}

function text(view: View, path: string): string {
  const content = view.get(path);
  assert.ok(content !== undefined && content !== "", `${path} is empty inside`);
  return content;
}

function numbersOf(line: string): number[] {
  return line.trim().split(/\s+/).map(Number);
}

/** How many CPUs a list such as `0-2,5` holds. */
function cpuCount(list: string): number {
  return list
    .split(",")
    .map((range) => range.split("-").map(Number))
    .reduce((sum, [from = 0, to = from]) => sum + to - from + 1, 0);
}
