/**
 * `/proc/<pid>/timens_offsets`, the clocks of the time namespace that the process's children are
 * in, time_namespaces(7):
 *
 *     monotonic           0         0
 *     boottime      -864000         0
 *
 * Clock, seconds (may be negative) and nanoseconds added to the host's. Kernels before 5.5, or
 * without CONFIG_TIME_NS, do not have the file.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

/** Nanoseconds to add to the host's clocks. */
export interface TimeNamespaceOffsets {
  readonly monotonicNs: number;
  readonly boottimeNs: number;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readTimensOffsets(procRoot: string, pid: number | "self"): TimeNamespaceOffsets {
  return parseTimensOffsets(readFile(`${procRoot}/${pid}/timens_offsets`));
}

/** Clocks may also be numbered: 1 monotonic, 7 boottime. @throws ParseError without the boottime line */
export function parseTimensOffsets(text: string): TimeNamespaceOffsets {
  const offset = (name: string): number | undefined => {
    const match = new RegExp(`^(?:${name})\\s+(-?\\d{1,18})\\s+(\\d{1,9})$`, "m").exec(text);
    return match ? Number(match[1]) * 1e9 + Number(match[2]) : undefined;
  };
  const boottimeNs = offset("boottime|7");
  if (boottimeNs === undefined) {
    throw new ParseError("timens_offsets", "a line boottime", text);
  }
  return { monotonicNs: offset("monotonic|1") ?? 0, boottimeNs };
}
