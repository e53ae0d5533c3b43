/**
 * Process numbers as a caller's pid namespace has them, pid_namespaces(7), without a helper process.
 *
 * Linux 6.11 translates a number on request (ioctl_nsfs(2)). Before that it is read from the line
 * NSpid of `/proc/<pid>/status`, which has one number for each namespace from the reader's inwards:
 *
 *     NSpid:	6541	17
 */
import { closeSync, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { parseProcessStatus } from "../host/proc_status.ts";
import { closeFd, ioctlNumber } from "../sys/native.ts";
import { tryReadFile } from "../sys/read.ts";

/** `_IOR(0xb7, n, int)` of linux/nsfs.h. */
const NS_GET_PARENT = 0xb702;
const NS_GET_PID_FROM_PIDNS = 0x8004b706;
const NS_GET_PID_IN_PIDNS = 0x8004b708;

/** A thread's numbers in all namespaces, the reader's first, and the namespace that it is in. */
interface Numbers {
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

/** The pid namespace of one caller, for the time of one request. */
export class PidNamespace {
  readonly #procRoot: string;
  readonly #known: KnownNumbers;
  readonly #fd: number;
  readonly #ioctl: boolean;
  /** How many namespaces are around this one, as the server sees it. */
  readonly #level: number;
  readonly #id: number;
  /** By namespace: whether it is this one or below. */
  readonly #inside = new Map<number, boolean>();

  /**
   * @param known what was read before, where the kernel does not translate
   * @param ioctl whether to ask the kernel to translate; found out if not given
   * @throws if thread `tid` is gone
   */
  constructor(procRoot: string, tid: number, known: KnownNumbers, ioctl?: boolean) {
    this.#procRoot = procRoot;
    this.#known = known;
    this.#fd = openSync(`${procRoot}/${tid}/ns/pid`, "r");
    this.#id = fstatSync(this.#fd).ino;
    this.#ioctl = ioctl ?? ioctlNumber(this.#fd, NS_GET_PID_IN_PIDNS, tid) > 0;
    this.#level = this.#ioctl ? 0 : (known.of(tid)?.numbers.length ?? 1) - 1;
  }

  /** What this namespace calls thread `hostPid`; `undefined` if it is not visible there, or gone. */
  toInside(hostPid: number): number | undefined {
    if (this.#ioctl) {
      const pid = ioctlNumber(this.#fd, NS_GET_PID_IN_PIDNS, hostPid);
      return pid > 0 ? pid : undefined;
    }
    const known = this.#known.of(hostPid);
    const pid = known?.numbers[this.#level];
    if (known === undefined || pid === undefined) return undefined;
    return this.#isInside(hostPid, known) ? pid : undefined;
  }

  /** The server's number for the thread that this namespace calls `pid`. */
  toHost(pid: number): number | undefined {
    if (this.#ioctl) {
      const hostPid = ioctlNumber(this.#fd, NS_GET_PID_FROM_PIDNS, pid);
      return hostPid > 0 ? hostPid : undefined;
    }
    for (const name of readdirSync(this.#procRoot)) {
      const process = Number(name);
      if (!(process > 0)) continue;
      if (this.toInside(process) === pid) return process;
      for (const thread of threadsOf(this.#procRoot, process)) {
        if (thread !== process && this.toInside(thread) === pid) return thread;
      }
    }
    return undefined;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Whether a thread's namespace is this one or below. */
  #isInside(pid: number, { numbers, space }: Numbers): boolean {
    if (space === this.#id) return true;
    const known = this.#inside.get(space);
    if (known !== undefined) return known;
    let fd = -1;
    try {
      fd = openSync(`${this.#procRoot}/${pid}/ns/pid`, "r");
      if (fstatSync(fd).ino !== space) return false;
      const inside = ancestorId(fd, numbers.length - 1 - this.#level) === this.#id;
      this.#inside.set(space, inside);
      return inside;
    } catch {
      return false;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }
}

function ancestorId(namespaceFd: number, depth: number): number | undefined {
  let fd = namespaceFd;
  try {
    for (let step = 0; step < depth; step++) {
      const above = ioctlNumber(fd, NS_GET_PARENT, 0);
      if (fd !== namespaceFd) closeFd(fd);
      fd = above;
      if (fd < 0) return undefined;
    }
    return fstatSync(fd).ino;
  } finally {
    if (fd !== namespaceFd && fd >= 0) closeFd(fd);
  }
}

function threadsOf(procRoot: string, process: number): number[] {
  try {
    return readdirSync(`${procRoot}/${process}/task`).map(Number);
  } catch {
    return [];
  }
}

const NEWLINE = 0x0a;
const ZERO = 0x30;

/**
 * A list of process numbers, one a line, as `namespace` has them. What is not visible there is left
 * out.
 */
export function translateList(text: Buffer, namespace: Pick<PidNamespace, "toInside">): Buffer {
  const translated = Buffer.allocUnsafe(text.length * 2 + 16);
  let length = 0;
  let number = 0;
  for (const byte of text) {
    if (byte !== NEWLINE) {
      number = number * 10 + byte - ZERO;
      continue;
    }
    const inside = namespace.toInside(number);
    number = 0;
    if (inside !== undefined) length = writeLine(translated, length, inside);
  }
  return translated.subarray(0, length);
}

/** Writes a number's digits and a newline. @returns the position behind them */
function writeLine(target: Buffer, at: number, number: number): number {
  let digits = 1;
  for (let rest = number; rest >= 10; rest = Math.trunc(rest / 10)) digits++;
  let rest = number;
  for (let place = at + digits - 1; place >= at; place--) {
    target[place] = ZERO + (rest % 10);
    rest = Math.trunc(rest / 10);
  }
  target[at + digits] = NEWLINE;
  return at + digits + 1;
}
