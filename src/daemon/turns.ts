/**
 * Whose turn it is. The kernel's queue has one order for all: beside a container whose 64 readers ask
 * without a pause, another one's request would wait for 64 others each time. So where requests queue
 * up, they are taken from the kernel as they come and served container by container: next is the
 * oldest request of the container that was served least recently.
 *
 * That costs a look at the queue and a copy for each request, twice as much as serving it. As long as
 * nobody waits, or all requests are one container's, it is left out.
 */
import { isCgroupNode } from "../cgroup_tree/node.ts";
import type { RequestHeader } from "../fuse/operations.ts";
import { Opcode } from "../fuse/wire/abi.ts";
import { ownerOf } from "../vfs/node_id.ts";
import type { Backlog } from "./backlog.ts";

/** So many requests between two looks at the queue, while nobody waits. */
const LOOK_EVERY = 16;
/** With fewer requests that wait at once there is nothing to put in order. */
const CROWD = 4;
/** For so long after requests of two containers were seen there is something to put in order. */
const MIXED_MS = 1000;
/** How long it is believed that a thread is in the container it was found in. */
const KNOWN_MS = 100;
/** Containers remembered as served; more are forgotten, all at once. */
const MAX_REMEMBERED = 4096;
/** So many requests between two looks at the clock. */
const CLOCK_EVERY = 16;

/** Fields of struct fuse_in_header. */
const AT_NODE_LOW = 16;
const AT_NODE_HIGH = 20;
const AT_PID = 32;

export interface TurnsOptions {
  readonly backlog: Backlog;
  /** Whether a request waits at the device right now. */
  readonly isQueued: () => boolean;
  /** The container that a thread is in, 0 for the host. */
  readonly callerOf: (pid: number) => number;
  readonly nowMs: () => number;
}

/** One serving thread's view of it. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #served = new Map<number, number>();
  readonly #known = new Map<number, number>();
  #knownUntilMs = 0;
  #nowMs = 0;
  #sinceClock = CLOCK_EVERY;
  #lastKey = -1;
  #mixedUntilMs = -1;
  #servings = 0;
  #sinceLook = 0;
  #isCrowded = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Whether the next request is to be taken from those that were put off, if there is one. */
  get isNext(): boolean {
    return !this.#options.backlog.isEmpty;
  }

  /** Told of each request that is executed. */
  note({ opcode, nodeLow, nodeHigh, pid }: RequestHeader): void {
    // A file may be closed by whoever comes along, the kernel itself included.
    if (opcode === Opcode.RELEASE) return;
    const key = this.#keyOf(nodeLow, nodeHigh, pid);
    if (key === this.#lastKey) return;
    if (this.#lastKey >= 0) this.#mixedUntilMs = this.#nowMs + MIXED_MS;
    this.#lastKey = key;
  }

  /** After each request: whether what waits in the kernel is to be fetched first. */
  isToFetch(): boolean {
    if (this.#nowMs >= this.#mixedUntilMs) return false;
    if (!this.#isCrowded && ++this.#sinceLook < LOOK_EVERY) return false;
    this.#sinceLook = 0;
    return this.#options.isQueued();
  }

  /** After each that was fetched: whether there are more. */
  isToFetchMore(): boolean {
    this.#isCrowded = this.#options.backlog.waiting >= CROWD;
    return this.#options.isQueued();
  }

  /** Puts a request off until its turn. @returns false if it has to be executed now */
  putOff(request: Buffer): boolean {
    const nodeLow = request.readUInt32LE(AT_NODE_LOW);
    const nodeHigh = request.readUInt32LE(AT_NODE_HIGH);
    const key = this.#keyOf(nodeLow, nodeHigh, request.readUInt32LE(AT_PID));
    return this.#options.backlog.put(request, key);
  }

  /** Takes the request whose turn it is. @returns false if there is none */
  next(keep: (request: Buffer) => void): boolean {
    const { backlog } = this.#options;
    while (!backlog.isEmpty) {
      let chosen = -1;
      let chosenKey = 0;
      let chosenServed = Infinity;
      let chosenArrival = 0;
      backlog.each((entry, key, arrival) => {
        const served = this.#served.get(key) ?? 0;
        if (served > chosenServed) return;
        // Arrivals are numbers of 32 bits that start again from below.
        if (served === chosenServed && ((arrival - chosenArrival) | 0) >= 0) return;
        chosen = entry;
        chosenKey = key;
        chosenServed = served;
        chosenArrival = arrival;
      });
      if (chosen < 0) return false;
      if (!backlog.take(chosen, keep)) continue;
      if (this.#served.size >= MAX_REMEMBERED) this.#served.clear();
      this.#served.set(chosenKey, ++this.#servings);
      return true;
    }
    return false;
  }

  #keyOf(nodeLow: number, nodeHigh: number, pid: number): number {
    if (++this.#sinceClock >= CLOCK_EVERY) this.#lookAtClock();
    const owner = ownerOf(nodeLow, nodeHigh);
    if (owner !== 0 && !isCgroupNode(owner)) return owner;
    let key = this.#known.get(pid);
    if (key === undefined) this.#known.set(pid, (key = this.#options.callerOf(pid)));
    return key;
  }

  #lookAtClock(): void {
    this.#sinceClock = 0;
    this.#nowMs = this.#options.nowMs();
    if (this.#nowMs < this.#knownUntilMs) return;
    this.#known.clear();
    this.#knownUntilMs = this.#nowMs + KNOWN_MS;
  }
}
