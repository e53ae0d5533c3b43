/**
 * How many descriptors this process has, and may have. `/proc/self/limits`, Documentation/filesystems/proc.rst:
 *
 *     Limit                     Soft Limit           Hard Limit           Units
 *     Max open files            20000                524288               files
 */
import { readdirSync, statSync } from "node:fs";
import { readFile } from "./read.ts";

/** Descriptors that are open now, those of all threads. */
export function openDescriptors(procRoot = "/proc"): number {
  const directory = `${procRoot}/self/fd`;
  // Since Linux 6.2 the directory's size says it; before, that is 0.
  return statSync(directory).size || readdirSync(directory).length;
}

/** How many there may be; `Infinity` for "unlimited" and for what cannot be made out. */
export function descriptorLimit(procRoot = "/proc"): number {
  return parseDescriptorLimit(readFile(`${procRoot}/self/limits`));
}

export function parseDescriptorLimit(text: string): number {
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? Infinity : Number(soft);
}
