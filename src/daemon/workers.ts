/**
 * The serving threads of one server, and the watchdog over them: a request that stays in flight past
 * the deadline is given to a fresh thread, which answers it with the host's values and takes the place
 * of the one that hangs; if that hangs over it too, the reader gets an error. A thread that dies
 * of an exception is replaced too, and its request executed again.
 */
import { writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { DeviceChannel } from "../fuse/channel.ts";
import { Notifier } from "../fuse/notify.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import type { Logger } from "../sys/log.ts";
import { isExhaustion } from "../sys/exhaustion.ts";
import { closeFd } from "../sys/native.ts";
import { spares } from "../sys/spares.ts";
import { Backlog } from "./backlog.ts";
import { cacheSizes } from "./cache_sizes.ts";
import type { DaemonConfig } from "./config.ts";
import { refuseCalls } from "./contain.ts";
import { lateReply } from "./late_reply.ts";
import { IDLE_MS, LeadWatch } from "./lead.ts";
import { allSlots, type Connection, type Slot, takeSlot } from "./slots.ts";
import type { SharedState } from "./state.ts";
import type { WorkerMessage, WorkerOrder } from "./worker.ts";

/** Heap of one thread. A young generation of 1 MB costs throughput nothing here, and saves 10 MB. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64, stackSizeMb: 1 };

/** Threads that may hang at one time; the requests of more are refused. */
const MAX_STUCK = 12;

/** Descriptors that a thread takes when it starts. */
const THREAD_DESCRIPTORS = 8;
/** Time until another try, where there were none. */
const EXHAUSTED_MS = 1000;

/** The slots are looked at this often, or so many times within one deadline if that is more often. */
const LOOK_MS = 100;
const LOOKS_PER_DEADLINE = 8;

interface Thread {
  readonly worker: Worker;
  readonly slot: Slot;
  /** The request seen in flight, and when it was first seen. */
  unique: bigint;
  sinceMs: number;
  stuck: boolean;
  /** Its time counts from here: how long a thread takes to start is not the request's fault. */
  started: boolean;
  /** A request that it was started to answer late; if it hangs over that as well, it is an error. */
  readonly lateUnique: bigint;
  /** Tells of system calls that were refused to it; -1 where nothing does. */
  listenerFd: number;
}

interface SpawnOptions {
  readonly selfTest?: boolean;
  /** The request of a thread that hangs, to be answered. */
  readonly late?: Buffer;
}

/** Where a request says which it is. */
const UNIQUE_AT = 8;

/** What the pool reports to the server. */
export interface PoolEvents {
  /** A thread has entered its loop; `replayed` inherited requests were executed. */
  ready(replayed: number): void;
  /** The filesystem was unmounted: nobody will ask any more. */
  unmounted(): void;
  /** A thread died before it ever served: another would too. */
  failed(cause: string): void;
}

export class WorkerPool {
  readonly #config: DaemonConfig;
  readonly #state: SharedState;
  readonly #generation: number;
  readonly #log: Logger;
  readonly #events: PoolEvents;
  readonly #connection: Connection;
  readonly #lead = new LeadWatch();
  readonly #backlog: Backlog;
  readonly #notifier: Notifier;
  /** The request that had waited longest at the last look. */
  #oldest = 0;
  readonly #threads = new Set<Thread>();
  #stopping = false;

  constructor(
    connection: Connection,
    config: DaemonConfig,
    state: SharedState,
    generation: number,
    log: Logger,
    events: PoolEvents,
  ) {
    this.#connection = connection;
    this.#config = config;
    this.#state = state;
    this.#backlog = new Backlog(state);
    this.#notifier = new Notifier(
      new DeviceChannel(connection === "main" ? config.fuseFd : config.cachedFd),
    );
    this.#generation = generation;
    this.#log = log;
    this.#events = events;
  }

  /**
   * Starts a thread that first executes the requests of `inherited` slots, and, if asked to, tests
   * itself. Others are for later, because the first answer matters and each start takes a core for
   * a while.
   */
  start(inherited: readonly Slot[], selfTest: boolean): void {
    this.#spawn(inherited, { selfTest });
    const periodMs = Math.max(20, Math.min(LOOK_MS, this.#config.deadlineMs / LOOKS_PER_DEADLINE));
    setInterval(() => this.#look(), periodMs);
    setInterval(() => this.#nudge(), IDLE_MS);
  }

  /** Starts `count` more threads. */
  grow(count: number): void {
    for (let i = 0; i < count; i++) this.#spawn([]);
  }

  /** Takes the slots of a relieved predecessor, and a thread to execute what it left in them. */
  recover(left: readonly Slot[]): void {
    const unanswered = left.filter((slot) => slot.busy);
    for (const slot of left) if (!slot.busy) slot.release();
    if (unanswered.length > 0) this.#spawn(unanswered);
  }

  /** Threads that serve, without those that hang. */
  get size(): number {
    return [...this.#threads].filter((thread) => !thread.stuck).length;
  }

  /** Requests that are being executed. */
  get inFlight(): number {
    return [...this.#threads].filter((thread) => thread.slot.busy).length;
  }

  /** Each thread ends after the request it is at; one that waits for a request stays where it is. */
  stop(): void {
    this.#stopping = true;
    for (const { slot } of this.#threads) slot.stop();
    this.#lead.callAll();
  }

  #spawn(inherited: readonly Slot[], { selfTest = false, late }: SpawnOptions = {}): void {
    const slot = takeSlot(this.#state, this.#generation, this.#connection);
    if (slot === undefined) {
      this.#log.error("no slot is free for another serving thread");
      return;
    }
    if (late) slot.put(late);
    spares.give(THREAD_DESCRIPTORS);
    const order: WorkerOrder = {
      connection: this.#connection,
      config: this.#config,
      generation: this.#generation,
      slot: slot.index,
      lead: this.#lead.memory,
      spares: spares.memory,
      selfTest,
      late: late !== undefined,
      inherited: inherited.map(({ index }) => index),
    };
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: order,
      resourceLimits: RESOURCE_LIMITS,
    });
    const thread: Thread = {
      worker,
      slot,
      unique: 0n,
      sinceMs: 0,
      stuck: false,
      started: false,
      lateUnique: late?.readBigUInt64LE(UNIQUE_AT) ?? 0n,
      listenerFd: -1,
    };
    this.#threads.add(thread);
    let ready = false;
    let ended = false;
    let cause = "it ended without a word";
    let code = 0;
    worker.on("message", (message: WorkerMessage) => {
      if (message.kind === "contained") {
        const { listenerFd, unfiltered } = message.containment;
        thread.listenerFd = listenerFd;
        if (unfiltered !== undefined) {
          this.#log.warn("system calls are not filtered", { cause: unfiltered });
        }
      } else if (message.kind === "started") {
        thread.started = true;
      } else if (message.kind === "ready") {
        ready = true;
        this.#events.ready(message.replayed);
      } else {
        ended = true;
        if (message.reason === "unmounted") this.#events.unmounted();
      }
    });
    worker.on("error", (error) => {
      cause = error.message;
      code = errnoOf(error);
      if (ready) this.#log.error("a serving thread died", { cause: error.stack ?? cause });
    });
    worker.on("exit", () => {
      this.#threads.delete(thread);
      if (thread.listenerFd >= 0) closeFd(thread.listenerFd);
      this.#lead.ended(slot.index);
      if (ended || this.#stopping) return;
      this.#state.add("workerDeaths");
      if (ready && !thread.stuck) {
        this.#spawn([slot]);
        return;
      }
      // One that cannot even start: the files of this version may be gone. The others go on.
      if (slot.busy) this.#refuse(slot.request());
      slot.release();
      if (this.size === 0) this.#events.failed(cause);
      else if (!ready) this.#log.error("a serving thread cannot start", { cause });
      if (isExhaustion(code)) setTimeout(() => this.#spawn([]), EXHAUSTED_MS);
    });
  }

  #look(): void {
    const nowMs = performance.now();
    spares.fill();
    this.#lookAtBacklog();
    for (const thread of this.#threads) {
      this.#refuseCalls(thread);
      if (thread.stuck || !thread.started) continue;
      if (!thread.slot.busy) {
        thread.unique = 0n;
      } else if (thread.slot.unique !== thread.unique) {
        thread.unique = thread.slot.unique;
        thread.sinceMs = nowMs;
      } else {
        // Seen at the same request twice: whoever stands by is to serve the others.
        this.#lead.hangs(thread.slot.index);
        if (nowMs - thread.sinceMs >= this.#config.deadlineMs) this.#relieve(thread);
      }
    }
  }

  /**
   * Somebody who fetched requests waits in the kernel for one that was withdrawn, while others wait
   * here: whoever stands by is to serve them.
   */
  #lookAtBacklog(): void {
    if (this.#connection !== "main") return;
    const { oldest } = this.#backlog;
    if (oldest !== 0 && oldest === this.#oldest) {
      for (const { slot } of this.#threads) if (!slot.busy) this.#lead.hangs(slot.index);
    }
    this.#oldest = oldest;
  }

  /**
   * A thread that waits for the next request would keep what has ended for as long as nobody asks:
   * descriptors of cgroups and namespaces. A message that the kernel returns to it wakes it up; the
   * kernel does so for files alone, so it is about one that it knew when it was last read.
   */
  #nudge(): void {
    const { containers, pid_namespaces, texts } = cacheSizes(this.#state);
    if (containers + pid_namespaces + texts === 0) return;
    for (const node of this.#lead.lastRead()) this.#notifier.retrieve(node, 0, 0);
  }

  #refuseCalls({ listenerFd }: Thread): void {
    if (listenerFd < 0) return;
    for (const call of refuseCalls(listenerFd)) {
      this.#state.add("refusedCalls");
      this.#log.error("a serving thread made a system call that it has no use for", { call });
    }
  }

  /** Gives the request of a thread that hangs to a new thread, which answers with what is safe. */
  #relieve(thread: Thread): void {
    // It may be answered at this very moment: a copy stays whole, or says that it is another one's.
    const request = Buffer.from(thread.slot.request());
    if (!thread.slot.busy || thread.slot.unique !== thread.unique) return;
    thread.stuck = true;
    thread.slot.stop();
    this.#state.add("deadlineMisses");
    this.#log.warn("a request is past its deadline", {
      opcode: request.readUInt32LE(4),
      node: String(request.readBigUInt64LE(16)),
      pid: request.readUInt32LE(32),
      deadlineMs: this.#config.deadlineMs,
    });
    const stuck = [...this.#threads].filter((other) => other.stuck).length;
    const hopeless = thread.unique === thread.lateUnique || stuck > MAX_STUCK;
    if (hopeless) this.#refuse(request);
    if (stuck <= MAX_STUCK) this.#spawn([], hopeless ? {} : { late: request });
    // Nobody inherits it from here any more.
    thread.slot.clear();
    if (this.size === 0) this.#events.failed("all serving threads hang");
  }

  #refuse(request: Buffer): void {
    try {
      const { fuseFd, cachedFd } = this.#config;
      writeSync(this.#connection === "main" ? fuseFd : cachedFd, lateReply(request));
    } catch (error) {
      // ENOENT: the thread has answered after all.
      if (errnoOf(error) !== errno.ENOENT) this.#log.warn("a late answer was refused");
    }
  }
}

/** Slots of servers before `generation` that are still taken: what the dead left behind. */
export function abandonedSlots(
  state: SharedState,
  generation: number,
  connection: Connection,
): Slot[] {
  return allSlots(state).filter(
    (slot) => slot.owner !== 0 && slot.owner !== generation && slot.connection === connection,
  );
}
