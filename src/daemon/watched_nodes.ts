/**
 * Nodes of the cgroup tree's files of events that somebody has looked up and may be watching with
 * inotify, and the server's own watch (inotify(7)) of the kernel's file behind each. In memory shared
 * by the serving threads, the main thread and a successor: who watches does not look up again.
 *
 * Nobody tells a filesystem who watches, nor that somebody has stopped. So a node is here until its
 * cgroup or the kernel's own inode of it is gone, or until there is no room: then whoever has the most
 * loses the one that was looked up longest ago.
 */
import { readlinkSync } from "node:fs";
import type { LookedUp, OpenNode } from "../cgroup_tree/change_events.ts";
import { isAlive } from "../host/process_alive.ts";
import { monotonicMs } from "../sys/clock.ts";
import { closeFd, inotifyAdd, inotifyRemove } from "../sys/native.ts";
import type { SharedState } from "./state.ts";

const REGION = "watched-nodes";
const MAX_NODES = 4096;
/** Of one container. */
const MAX_PER_SPACE = 256;

const HEAD_BYTES = 64;
const DOUBLES_BYTES = MAX_NODES * 8;
const REGION_BYTES = HEAD_BYTES + 3 * DOUBLES_BYTES + 2 * MAX_NODES * 4;
const HEAD = { lock: 0, count: 1, serverPid: 2, inotifyFd: 3, raiserPid: 4 } as const;
/** Not watched by this server yet, or no more. */
const NO_WATCH = -1;

/** Looks at the lock between two questions whether who holds it still lives, and how many of those. */
const LOOKS = 20_000;
const QUESTIONS = 50;

/** Sets the region aside; main thread only, before workers start. */
export function ensureWatchedNodes(state: SharedState): void {
  state.ensureRegion(REGION, REGION_BYTES);
}

export class WatchedNodes {
  readonly #head: Int32Array;
  readonly #owners: Float64Array;
  readonly #spaces: Float64Array;
  readonly #lookedUpMs: Float64Array;
  readonly #locals: Int32Array;
  readonly #watches: Int32Array;
  readonly #thread = Number(readlinkSync("/proc/thread-self").split("/").at(-1));

  constructor(state: SharedState) {
    const { buffer, byteOffset } = state.region(REGION);
    const doubles = (nth: number): Float64Array =>
      new Float64Array(buffer, byteOffset + HEAD_BYTES + nth * DOUBLES_BYTES, MAX_NODES);
    const intsAt = byteOffset + HEAD_BYTES + 3 * DOUBLES_BYTES;
    this.#head = new Int32Array(buffer, byteOffset, HEAD_BYTES / 4);
    this.#owners = doubles(0);
    this.#spaces = doubles(1);
    this.#lookedUpMs = doubles(2);
    this.#locals = new Int32Array(buffer, intsAt, MAX_NODES);
    this.#watches = new Int32Array(buffer, intsAt + MAX_NODES * 4, MAX_NODES);
  }

  /** The process that raises the events (event_raiser.ts), 0 while there is none. */
  get raiserPid(): number {
    return Atomics.load(this.#head, HEAD.raiserPid);
  }

  set raiserPid(pid: number) {
    Atomics.store(this.#head, HEAD.raiserPid, pid);
  }

  /** Whether this process is the one that watches. */
  get isOurs(): boolean {
    return Atomics.load(this.#head, HEAD.serverPid) === process.pid;
  }

  /** From now on this process watches; what another one watched is to be watched again. */
  takeOver(inotifyFd: number): void {
    this.#locked(() => {
      this.#head[HEAD.inotifyFd] = inotifyFd;
      Atomics.store(this.#head, HEAD.serverPid, process.pid);
      this.#watches.fill(NO_WATCH);
    });
  }

  /** A node is being looked up. Before that is answered, its file is watched. */
  note(node: LookedUp, open: OpenNode): void {
    this.#locked(() => {
      let index = this.#find(node);
      if (index < 0) {
        this.#makeRoom(node.space);
        index = this.#count;
        this.#owners[index] = node.owner;
        this.#locals[index] = node.local;
        this.#spaces[index] = node.space;
        this.#watches[index] = NO_WATCH;
        Atomics.store(this.#head, HEAD.count, index + 1);
      }
      this.#lookedUpMs[index] = monotonicMs();
      this.#watch(index, open);
    });
  }

  /** All nodes, or those of which one of these watches tells. */
  nodes(watches?: ReadonlySet<number>): LookedUp[] {
    const found: LookedUp[] = [];
    this.#locked(() => {
      for (let index = 0; index < this.#count; index++) {
        if (watches?.has(this.#watches[index] ?? NO_WATCH) === false) continue;
        found.push(this.#at(index));
      }
    });
    return found;
  }

  /** @returns whether it is watched only now, so that changes may have been missed */
  watchAgain(node: LookedUp, open: OpenNode): boolean {
    let isNew = false;
    this.#locked(() => {
      const index = this.#find(node);
      if (index < 0 || this.#watches[index] !== NO_WATCH) return;
      isNew = this.#watch(index, open);
    });
    return isNew;
  }

  /** The kernel has ended these watches. */
  ended(watches: ReadonlySet<number>): void {
    this.#locked(() => {
      for (let index = 0; index < this.#count; index++) {
        if (watches.has(this.#watches[index] ?? NO_WATCH)) this.#watches[index] = NO_WATCH;
      }
    });
  }

  /** Forgets a node unless it was looked up after `sinceMs`. */
  forget(node: LookedUp, sinceMs = Infinity): void {
    this.#locked(() => {
      const index = this.#find(node);
      if (index >= 0 && (this.#lookedUpMs[index] ?? 0) < sinceMs) this.#remove(index);
    });
  }

  get #count(): number {
    return Math.min(Atomics.load(this.#head, HEAD.count), MAX_NODES);
  }

  #at(index: number): LookedUp {
    return {
      owner: this.#owners[index] ?? 0,
      local: this.#locals[index] ?? 0,
      space: this.#spaces[index] ?? 0,
    };
  }

  #find({ owner, local }: LookedUp): number {
    const count = this.#count;
    for (let index = 0; index < count; index++) {
      if (this.#owners[index] === owner && this.#locals[index] === local) return index;
    }
    return -1;
  }

  /** @returns whether it is watched since this call */
  #watch(index: number, open: OpenNode): boolean {
    if (this.#watches[index] !== NO_WATCH || !this.isOurs) return false;
    try {
      const fd = open(this.#at(index));
      try {
        // One file has one watch, also where several nodes are views of it.
        this.#watches[index] = inotifyAdd(this.#head[HEAD.inotifyFd] ?? -1, fd);
      } finally {
        closeFd(fd);
      }
      return true;
    } catch {
      // It is gone, or the kernel grants no more watches: it is polled for all the same.
      return false;
    }
  }

  #makeRoom(space: number): void {
    const count = this.#count;
    let ofSpace = 0;
    for (let index = 0; index < count; index++) if (this.#spaces[index] === space) ofSpace++;
    if (ofSpace >= MAX_PER_SPACE) this.#removeOldest(space);
    else if (count >= MAX_NODES) this.#removeOldest(this.#largestSpace());
  }

  #largestSpace(): number {
    const counts = new Map<number, number>();
    let [largest, most] = [0, 0];
    for (const space of this.#spaces.subarray(0, this.#count)) {
      const ofSpace = (counts.get(space) ?? 0) + 1;
      counts.set(space, ofSpace);
      if (ofSpace > most) [largest, most] = [space, ofSpace];
    }
    return largest;
  }

  #removeOldest(space: number): void {
    let oldest = -1;
    for (let index = 0; index < this.#count; index++) {
      if (this.#spaces[index] !== space) continue;
      const isOlder =
        oldest < 0 || (this.#lookedUpMs[index] ?? 0) < (this.#lookedUpMs[oldest] ?? 0);
      if (isOlder) oldest = index;
    }
    if (oldest >= 0) this.#remove(oldest);
  }

  /** The last one takes its place. */
  #remove(index: number): void {
    const watch = this.#watches[index] ?? NO_WATCH;
    const last = this.#count - 1;
    this.#owners[index] = this.#owners[last] ?? 0;
    this.#locals[index] = this.#locals[last] ?? 0;
    this.#spaces[index] = this.#spaces[last] ?? 0;
    this.#lookedUpMs[index] = this.#lookedUpMs[last] ?? 0;
    this.#watches[index] = this.#watches[last] ?? NO_WATCH;
    Atomics.store(this.#head, HEAD.count, last);
    if (watch === NO_WATCH || !this.isOurs) return;
    if (this.#watches.subarray(0, last).includes(watch)) return;
    inotifyRemove(this.#head[HEAD.inotifyFd] ?? -1, watch);
  }

  /** Does `work` alone; not at all if somebody who lives holds the lock for long. */
  #locked(work: () => void): void {
    if (!this.#lock()) return;
    try {
      work();
    } finally {
      Atomics.store(this.#head, HEAD.lock, 0);
    }
  }

  #lock(): boolean {
    for (let question = 0; question < QUESTIONS; question++) {
      let holder = 0;
      for (let look = 0; look < LOOKS; look++) {
        holder = Atomics.compareExchange(this.#head, HEAD.lock, 0, this.#thread);
        if (holder === 0) return true;
      }
      // Killed in the middle of it: at worst a node stands there twice.
      if (!isAlive("/proc", holder)) {
        Atomics.compareExchange(this.#head, HEAD.lock, holder, 0);
      }
    }
    return false;
  }
}
