/**
 * `/proc/pressure/{cpu,memory,io,irq}` and a cgroup's `*.pressure`, Documentation/accounting/psi.rst:
 *
 *     some avg10=0.00 avg60=0.07 avg300=0.24 total=6165976
 *     full avg10=0.00 avg60=0.00 avg300=0.00 total=0
 *
 * Percent of the last 10, 60 and 300 seconds that some or all tasks stood still; total in
 * microseconds. cpu has no `full` line before 5.13, irq no `some` line.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

export interface PressureLine {
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  readonly totalUs: number;
}

export interface Pressure {
  readonly some: PressureLine | undefined;
  readonly full: PressureLine | undefined;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readPressure(
  procRoot: string,
  resource: "cpu" | "memory" | "io" | "irq",
): Pressure {
  return parsePressure(readFile(`${procRoot}/pressure/${resource}`));
}

/** @throws ParseError if neither line is there, or one is malformed */
export function parsePressure(text: string): Pressure {
  let some: PressureLine | undefined;
  let full: PressureLine | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("some ")) some = parseLine(line);
    else if (line.startsWith("full ")) full = parseLine(line);
  }
  if (!some && !full) throw new ParseError("pressure", "a line some or full", text);
  return { some, full };
}

function parseLine(line: string): PressureLine {
  const match =
    / avg10=(\d{1,9}\.\d+) avg60=(\d{1,9}\.\d+) avg300=(\d{1,9}\.\d+) total=(\d{1,20})$/.exec(line);
  if (!match) throw new ParseError("pressure", "three averages and a total", line);
  const [avg10 = 0, avg60 = 0, avg300 = 0, totalUs = 0] = match.slice(1).map(Number);
  return { avg10, avg60, avg300, totalUs };
}
