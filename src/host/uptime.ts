/**
 * `/proc/uptime`, Documentation/filesystems/proc.rst:
 *
 *     1335.64 2605.40
 *
 * Seconds since boot, suspension included, and idle seconds summed over all CPUs; hundredths.
 */
import { readFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

export interface Uptime {
  readonly upSeconds: number;
  readonly idleSeconds: number;
}

/** @throws on a missing file, ParseError on a malformed one */
export function readUptime(procRoot: string): Uptime {
  return parseUptime(readFile(`${procRoot}/uptime`));
}

/** @throws ParseError */
export function parseUptime(text: string): Uptime {
  const match = /^(\d{1,15}\.\d+) (\d{1,15}\.\d+)$/.exec(text.trim());
  if (!match) throw new ParseError("uptime", "two times in seconds", text);
  return { upSeconds: Number(match[1]), idleSeconds: Number(match[2]) };
}
