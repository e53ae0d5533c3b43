/**
 * Views whose text can have one size for ever, so that the kernel's page cache may hold it: the
 * cache takes size and content at different moments, and a size that changed in between would cut a
 * text short. The size has room for the longest text there can be on this host; what is missing is
 * filled where every parser passes over it.
 */
import { meminfoHasUnit } from "../host/meminfo.ts";
import type { Host } from "../machine/host.ts";

/** One page: what the cache replaces at once. */
const PAGE_BYTES = 4096;

interface FixedSize {
  /** Path of the view. */
  readonly path: string;
  /** Bytes that every text of it fits, on this host. */
  readonly bytes: (host: Host) => number;
  /** Brings `text` to `bytes`, which is no less than it has. */
  readonly fill: (text: string, bytes: number) => string;
}

const FIXED: readonly FixedSize[] = [
  { path: "proc/uptime", bytes: () => 40, fill: endWithSpaces },
  { path: "proc/loadavg", bytes: () => 48, fill: endWithSpaces },
  { path: "proc/swaps", bytes: () => 160, fill: endWithSpaces },
  { path: "proc/meminfo", bytes: meminfoBytes, fill: endWithSpaces },
  { path: "proc/stat", bytes: statBytes, fill: fillInterrupts },
];

/** What is of constant size on this host, by path. Files that may outgrow a page are left out. */
export function fixedSizes(host: Host): Map<string, FixedSizeView> {
  const views = new Map<string, FixedSizeView>();
  for (const { path, bytes, fill } of FIXED) {
    const size = bytes(host);
    if (size <= PAGE_BYTES) views.set(path, new FixedSizeView(size, fill));
  }
  return views;
}

export class FixedSizeView {
  readonly bytes: number;
  readonly #fill: (text: string, bytes: number) => string;

  constructor(bytes: number, fill: (text: string, bytes: number) => string) {
    this.bytes = bytes;
    this.#fill = fill;
  }

  /** The text at its constant size, or `undefined` if it has outgrown it. */
  fit(text: string): string | undefined {
    return text.length > this.bytes ? undefined : this.#fill(text, this.bytes);
  }
}

/** Blanks before the last newline. */
function endWithSpaces(text: string, bytes: number): string {
  return `${text.slice(0, -1)}${" ".repeat(bytes - text.length)}\n`;
}

/**
 * Counts of single interrupts, all 0, as idle ones have on the kernel's own line, which is long on
 * every machine.
 */
function fillInterrupts(text: string, bytes: number): string {
  const end = text.indexOf("\n", text.indexOf("\nintr ") + 1);
  const missing = bytes - text.length;
  const zeros = " 0".repeat(missing >> 1) + (missing % 2 === 1 ? " " : "");
  return text.slice(0, end) + zeros + text.slice(end);
}

/** A line is `Name:` to column 16, ten digits to column 26, ` kB` and the newline. */
function meminfoBytes(host: Host): number {
  let bytes = 0;
  for (const name of host.meminfo().names) {
    const label = Math.max(16, name.length + 2);
    bytes += label + 11 + (meminfoHasUnit(name) ? 4 : 1);
  }
  return bytes;
}

/** A row of twelve-digit ticks for each CPU and their sum, then the counters. */
function statBytes(host: Host): number {
  const rows = host.onlineCpus().length + 1;
  return rows * 72 + 480;
}
