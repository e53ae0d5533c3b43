/** Reading what runtimes write down of their containers. It is theirs, and may change: nothing here throws. */
import { existsSync, readdirSync } from "node:fs";
import { parseProcessStat } from "../host/proc_stat.ts";
import { tryReadFile } from "../sys/read.ts";

const MAX_STATE_BYTES = 1 << 20;

/** A parsed JSON file, or `undefined` if it is missing or no JSON. */
export function tryReadJson(path: string): unknown {
  const text = tryReadFile(path, MAX_STATE_BYTES);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(text, "latin1").toString("utf8"));
  } catch {
    return undefined;
  }
}

/** The value at `keys` of nested objects. */
export function dig(value: unknown, ...keys: string[]): unknown {
  for (const key of keys) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

export function asText(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A process id, or `undefined`. */
export function asPid(value: unknown): number | undefined {
  const pid = typeof value === "string" ? Number(value) : value;
  return typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Names in a directory; none if it does not exist. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

export function processExists(procRoot: string, pid: number): boolean {
  return existsSync(`${procRoot}/${pid}/ns`);
}

/** Whether `pid` is the process that started at `startTicks` (field 22 of its stat), not a later one. */
export function isSameProcess(procRoot: string, pid: number, startTicks: unknown): boolean {
  const text = tryReadFile(`${procRoot}/${pid}/stat`);
  if (text === undefined) return false;
  if (startTicks === undefined) return true;
  try {
    return parseProcessStat(text).startTicks === Number(startTicks);
  } catch {
    return false;
  }
}
