/**
 * Threads' numbers in the pid namespaces that they are in, from the line NSpid of
 * `/proc/<pid>/status`, which has one for each namespace from the reader's inwards:
 *
 *     NSpid:	6541	17
 */
import { statSync } from "node:fs";
import { parseProcessStatus } from "../host/proc_status.ts";
import { tryReadFile } from "../sys/read.ts";

/** A thread's numbers in all namespaces, the reader's first, and the namespace that it is in. */
export interface Numbers {
  /** Inode number of its directory in /proc, which no other thread gets. */
  readonly directory: number;
  readonly numbers: readonly number[];
  readonly space: number;
}

const MAX_KNOWN_THREADS = 1 << 16;

/**
 * What was read of threads before: their numbers do not change while they live, and another thread with
 * the same number has another directory in /proc. One stat(2) instead of two files, an eighth of the time.
 */
export class KnownNumbers {
  readonly #procRoot: string;
  readonly #known = new Map<number, Numbers>();

  constructor(procRoot: string) {
    this.#procRoot = procRoot;
  }

  /** @returns `undefined` for a thread that is gone */
  of(pid: number): Numbers | undefined {
    const path = `${this.#procRoot}/${pid}`;
    // First: if the number changes hands from here on, what is remembered is never found valid.
    const directory = inodeOf(path);
    if (directory === undefined) return undefined;
    const known = this.#known.get(pid);
    if (known?.directory === directory) return known;
    const status = tryReadFile(`${path}/status`);
    const space = inodeOf(`${path}/ns/pid`);
    if (status === undefined || space === undefined) return undefined;
    const { namespacePids } = parseProcessStatus(status);
    if (namespacePids.length === 0) return undefined;
    const found = { directory, numbers: namespacePids, space };
    if (this.#known.size >= MAX_KNOWN_THREADS) this.#known.clear();
    this.#known.set(pid, found);
    return found;
  }
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino;
  } catch {
    return undefined;
  }
}
