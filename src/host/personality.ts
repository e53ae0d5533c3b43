/**
 * `/proc/<pid>/personality`, the execution domain of a process, personality(2), in hex:
 *
 *     00000000
 *
 * The low byte is the domain; 8 is PER_LINUX32, under which 64-bit kernels tell of a 32-bit
 * machine. Reading it takes ptrace rights: where Yama withholds them, it cannot be known.
 */
import { tryReadFile } from "../sys/read.ts";
import { ParseError } from "./parse_error.ts";

const DOMAIN_MASK = 0xff;
export const PER_LINUX32 = 0x08;

/** `undefined` if the process is gone or may not be looked at, or the file is malformed. */
export function readPersonality(procRoot: string, pid: number | "self"): number | undefined {
  const text = tryReadFile(`${procRoot}/${pid}/personality`);
  try {
    return text === undefined ? undefined : parsePersonality(text);
  } catch {
    return undefined;
  }
}

/** @throws ParseError */
export function parsePersonality(text: string): number {
  if (!/^[0-9a-f]{1,8}\n?$/.test(text)) {
    throw new ParseError("personality", "eight hex digits", text);
  }
  return Number.parseInt(text, 16);
}

/** Whether a 32-bit machine is to be shown. */
export function isLinux32(personality: number): boolean {
  return (personality & DOMAIN_MASK) === PER_LINUX32;
}
