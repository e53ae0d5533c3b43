/**
 * What is expected of every answer a container gets, whatever happens to the server: whole files of the
 * right form, the container's own figures, counters and clocks that never fall.
 */
import { cpuinfoBlocks, keyedNumbers, numbersOf, statRows } from "../support/parse.ts";

/** What is known of the container from outside. */
export interface Expectation {
  readonly memoryKb: number;
  readonly cpus: number;
}

/** Says what is wrong with a text, or nothing. */
export type Judge = (text: string) => string | undefined;

/** Files that are read, and a judge of each, which remembers what it saw before. */
export function judges({ memoryKb, cpus }: Expectation): Map<string, Judge> {
  return new Map<string, Judge>([
    ["/proc/meminfo", (text) => meminfo(text, memoryKb)],
    ["/proc/stat", stat(cpus)],
    ["/proc/uptime", uptime()],
    ["/proc/loadavg", loadavg],
    ["/proc/cpuinfo", (text) => expected("processors", cpuinfoBlocks(text).length, cpus)],
    ["/proc/diskstats", diskstats],
  ]);
}

function expected(what: string, found: number | undefined, wanted: number): string | undefined {
  return found === wanted ? undefined : `${what}: ${found}, not ${wanted}`;
}

function meminfo(text: string, memoryKb: number): string | undefined {
  const odd = text.split("\n").find((line) => line !== "" && !/^\S+: +\d+( kB)? *$/.test(line));
  if (odd !== undefined) return `a line of meminfo: ${odd}`;
  const fields = keyedNumbers(text);
  const total = fields.get("MemTotal") ?? 0;
  for (const name of ["MemFree", "MemAvailable", "Cached"]) {
    const value = fields.get(name);
    if (value === undefined || value > total) return `${name} ${value} of ${total} kB`;
  }
  return expected("MemTotal", total, memoryKb);
}

/** Columns of a CPU that may not fall: idle and iowait may, in the kernel's own file as well. */
const RISING = { user: 0, nice: 1, system: 2, irq: 5, softirq: 6 } as const;

function stat(cpus: number): Judge {
  let before = new Map<string, number[]>();
  return (text) => {
    const rows = statRows(text);
    const names = [...rows.keys()].filter((name) => /^cpu\d+$/.test(name));
    for (const name of ["cpu", ...names]) {
      for (const [column, index] of Object.entries(RISING)) {
        const now = rows.get(name)?.[index];
        const then = before.get(name)?.[index] ?? 0;
        if (now === undefined || now < then) return `${column} of ${name}: ${now} after ${then}`;
      }
    }
    for (const name of ["ctxt", "processes"]) {
      const now = rows.get(name)?.[0];
      const then = before.get(name)?.[0] ?? 0;
      if (now === undefined || now < then) return `${name}: ${now} after ${then}`;
    }
    before = rows;
    return expected("rows of CPUs", names.length, cpus);
  };
}

function uptime(): Judge {
  let before = 0;
  return (text) => {
    if (!/^\d+\.\d\d \d+\.\d\d *\n$/.test(text)) return `uptime: ${JSON.stringify(text)}`;
    const now = numbersOf(text)[0] ?? 0;
    const wrong = now < before ? `uptime ${now} after ${before}` : undefined;
    before = now;
    return wrong;
  };
}

function loadavg(text: string): string | undefined {
  const whole = /^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+ *\n$/.test(text);
  return whole ? undefined : `loadavg: ${JSON.stringify(text)}`;
}

function diskstats(text: string): string | undefined {
  const odd = text
    .split("\n")
    .find((line) => line.trim() !== "" && !/^ *\d+ +\d+ \S+( \d+)+ *$/.test(line));
  return odd === undefined ? undefined : `a line of diskstats: ${odd}`;
}
