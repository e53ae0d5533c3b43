/**
 * What is waited for on behalf of containers: pressure triggers that they have armed, and files of the
 * cgroup tree that they poll for changes. In memory shared by all serving threads, the main thread
 * (which waits) and a successor (which opens and arms all of it again: the kernel's own triggers die
 * with the process that registered them).
 */
import type { PressureTrigger } from "../machine/pressure_trigger.ts";
import type { SharedState } from "./state.ts";

const REGION = "triggers";
/** More than this at one time are refused: each is a descriptor, and work for the kernel. */
const MAX_TRIGGERS = 1024;
const HEAD_BYTES = 64;
const ENTRY_BYTES = 128;
const ENTRY_INTS = ENTRY_BYTES / 4;
const ENTRY_DOUBLES = ENTRY_BYTES / 8;

const HEAD = { serverPid: 0, wakeFd: 1, count: 2 } as const;
const INT = { state: 0, fired: 1, fd: 2, pid: 3, resource: 4, kind: 5, resting: 6 } as const;
/** Doubles begin behind eight ints. */
const DOUBLE = { handle: 4, container: 5, kh: 6, thresholdUs: 7, windowUs: 8, space: 9 } as const;
const KINDS = ["some", "full", "change"] as const;

const STATE = { free: 0, taken: 1, armed: 2, closing: 3 } as const;
/** What has happened since it was last asked: nothing, pressure, the end of the cgroup. */
export const FIRED = { no: 0, yes: 1, gone: 2 } as const;

/** One armed trigger, or one file that is polled for changes. */
export interface TriggerEntry extends Omit<PressureTrigger, "kind"> {
  readonly kind: PressureTrigger["kind"] | "change";
  readonly index: number;
  /** Handle of the open file. */
  readonly handle: number;
  /** Key of the container whose pressure it is, 0: the host's; or the owner of the polled node. */
  readonly container: number;
  /** Who shares a number of places with others of the same (`countOf`). */
  readonly space: number;
  /** Told already, and not to be waited for before somebody asks again. */
  readonly resting: boolean;
  /** The file's own number. */
  readonly local: number;
  readonly fd: number;
  /** The process that `fd` is open in. */
  readonly pid: number;
  readonly closing: boolean;
}

/** Sets the region aside; main thread only, before workers start. */
export function ensureTriggers(state: SharedState): void {
  state.ensureRegion(REGION, HEAD_BYTES + MAX_TRIGGERS * ENTRY_BYTES);
}

export class TriggerTable {
  readonly #ints: Int32Array;
  readonly #doubles: Float64Array;

  constructor(state: SharedState) {
    const { buffer, byteOffset } = state.region(REGION);
    const bytes = HEAD_BYTES + MAX_TRIGGERS * ENTRY_BYTES;
    this.#ints = new Int32Array(buffer, byteOffset, bytes / 4);
    this.#doubles = new Float64Array(buffer, byteOffset, bytes / 8);
  }

  /** The descriptor that wakes the process `pid`, or -1 if that one does not wait for triggers. */
  wakeFd(pid: number): number {
    return Atomics.load(this.#ints, HEAD.serverPid) === pid ? (this.#ints[HEAD.wakeFd] ?? -1) : -1;
  }

  setWakeFd(pid: number, fd: number): void {
    this.#ints[HEAD.wakeFd] = fd;
    Atomics.store(this.#ints, HEAD.serverPid, pid);
  }

  /** @returns false if there is no room */
  add(entry: Omit<TriggerEntry, "index" | "closing" | "resting">): boolean {
    for (let index = 0; index < MAX_TRIGGERS; index++) {
      const at = intsAt(index);
      if (Atomics.compareExchange(this.#ints, at, STATE.free, STATE.taken) !== STATE.free) continue;
      const doubles = doublesAt(index);
      this.#ints[at + INT.fired] = FIRED.no;
      this.#ints[at + INT.fd] = entry.fd;
      this.#ints[at + INT.pid] = entry.pid;
      this.#ints[at + INT.resource] = entry.local;
      this.#ints[at + INT.kind] = KINDS.indexOf(entry.kind);
      this.#ints[at + INT.resting] = 0;
      this.#doubles[doubles + DOUBLE.handle] = entry.handle;
      this.#doubles[doubles + DOUBLE.container] = entry.container;
      this.#doubles[doubles + DOUBLE.kh] = 0;
      this.#doubles[doubles + DOUBLE.thresholdUs] = entry.thresholdUs;
      this.#doubles[doubles + DOUBLE.windowUs] = entry.windowUs;
      this.#doubles[doubles + DOUBLE.space] = entry.space;
      Atomics.store(this.#ints, at, STATE.armed);
      Atomics.add(this.#ints, HEAD.count, 1);
      return true;
    }
    return false;
  }

  /** Index of the trigger of an open file, or -1. */
  find(handle: number): number {
    if (Atomics.load(this.#ints, HEAD.count) === 0) return -1;
    for (let index = 0; index < MAX_TRIGGERS; index++) {
      if (Atomics.load(this.#ints, intsAt(index)) !== STATE.armed) continue;
      if (this.#doubles[doublesAt(index) + DOUBLE.handle] === handle) return index;
    }
    return -1;
  }

  /** All triggers, those that are being closed included. */
  *all(): Generator<TriggerEntry> {
    if (Atomics.load(this.#ints, HEAD.count) === 0) return;
    for (let index = 0; index < MAX_TRIGGERS; index++) {
      const at = intsAt(index);
      const state = Atomics.load(this.#ints, at);
      if (state !== STATE.armed && state !== STATE.closing) continue;
      const int = (field: number): number => this.#ints[at + field] ?? 0;
      const double = (field: number): number => this.#doubles[doublesAt(index) + field] ?? 0;
      yield {
        index,
        closing: state === STATE.closing,
        handle: double(DOUBLE.handle),
        container: double(DOUBLE.container),
        local: int(INT.resource),
        fd: int(INT.fd),
        pid: int(INT.pid),
        kind: KINDS[int(INT.kind)] ?? "some",
        resting: int(INT.resting) === 1,
        space: double(DOUBLE.space),
        thresholdUs: double(DOUBLE.thresholdUs),
        windowUs: double(DOUBLE.windowUs),
      };
    }
  }

  /** The same trigger, registered anew by another process. */
  moveTo(index: number, pid: number, fd: number): void {
    this.#ints[intsAt(index) + INT.fd] = fd;
    this.#ints[intsAt(index) + INT.pid] = pid;
  }

  /** @returns the kernel's name of who waits, 0 if nobody does */
  fire(index: number, how: number): number {
    Atomics.store(this.#ints, intsAt(index) + INT.fired, how);
    return this.#doubles[doublesAt(index) + DOUBLE.kh] ?? 0;
  }

  /** What has happened since; being asked, it begins anew. */
  take(index: number): number {
    const at = intsAt(index) + INT.fired;
    return Atomics.load(this.#ints, at) === FIRED.gone
      ? FIRED.gone
      : Atomics.exchange(this.#ints, at, FIRED.no);
  }

  /** Who is to be woken. @returns whether it was not waited for */
  setWaiter(index: number, kh: number): boolean {
    this.#doubles[doublesAt(index) + DOUBLE.kh] = kh;
    return Atomics.exchange(this.#ints, intsAt(index) + INT.resting, 0) === 1;
  }

  /** It is not waited for until `setWaiter`. */
  rest(index: number): void {
    Atomics.store(this.#ints, intsAt(index) + INT.resting, 1);
  }

  /** The descriptor that carries it, -1 in another process than `pid`. */
  fdIn(index: number, pid: number): number {
    const at = intsAt(index);
    return this.#ints[at + INT.pid] === pid ? (this.#ints[at + INT.fd] ?? -1) : -1;
  }

  /** Nobody has the file open any more: the one who registered the trigger is to close it. */
  release(index: number): void {
    Atomics.store(this.#ints, intsAt(index), STATE.closing);
  }

  free(index: number): void {
    Atomics.sub(this.#ints, HEAD.count, 1);
    Atomics.store(this.#ints, intsAt(index), STATE.free);
  }
}

function intsAt(index: number): number {
  return HEAD_BYTES / 4 + index * ENTRY_INTS;
}

function doublesAt(index: number): number {
  return HEAD_BYTES / 8 + index * ENTRY_DOUBLES;
}
