/**
 * Process numbers as a caller's pid namespace has them, pid_namespaces(7), without a helper process.
 *
 * Linux 6.11 translates a number on request (ioctl_nsfs(2)). Before that it is read from the line
 * NSpid of `/proc/<pid>/status` (known_numbers.ts).
 */
import { closeSync, fstatSync, openSync, readdirSync } from "node:fs";
import { opening } from "../sys/exhaustion.ts";
import { closeFd, ioctlNumber } from "../sys/native.ts";
import type { KnownNumbers, Numbers } from "./known_numbers.ts";

/** `_IOR(0xb7, n, int)` of linux/nsfs.h. */
const NS_GET_PARENT = 0xb702;
const NS_GET_PID_FROM_PIDNS = 0x8004b706;
const NS_GET_PID_IN_PIDNS = 0x8004b708;

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
    this.#fd = opening(() => openSync(`${procRoot}/${tid}/ns/pid`, "r"));
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
    for (const name of opening(() => readdirSync(this.#procRoot))) {
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
      fd = opening(() => openSync(`${this.#procRoot}/${pid}/ns/pid`, "r"));
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
    return opening(() => readdirSync(`${procRoot}/${process}/task`)).map(Number);
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
