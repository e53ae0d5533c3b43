/**
 * A serving thread: reads requests from the kernel, answers them, and does nothing else. Its loop is
 * synchronous; it ends when its slot says so or when the filesystem is unmounted.
 */
import { availableParallelism } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { monotonicMs } from "../sys/clock.ts";
import { Logger } from "../sys/log.ts";
import { canGive, onShortage } from "../sys/exhaustion.ts";
import { POLL, pollFd } from "../sys/native.ts";
import { Spares } from "../sys/spares.ts";
import { Backlog } from "./backlog.ts";
import type { DaemonConfig } from "./config.ts";
import { CacheSizesRow } from "./cache_sizes.ts";
import { type Containment, containServingThread } from "./contain.ts";
import { Counters } from "./counters.ts";
import { type End, Engine } from "./engine.ts";
import { createCachedFilesystem, createFilesystem, type FilesystemContext } from "./filesystem.ts";
import { Lead } from "./lead.ts";
import { selfTest } from "./self_test.ts";
import { type Connection, Slot } from "./slots.ts";
import { openState } from "./state.ts";
import { ReaderRow } from "./top_readers.ts";
import { Turns } from "./turns.ts";

/** What the main thread gives a worker. */
export interface WorkerOrder {
  readonly connection: Connection;
  readonly config: DaemonConfig;
  readonly generation: number;
  /** Slot taken for this worker. */
  readonly slot: number;
  /** Shared by the threads of this connection: who of them leads. */
  readonly lead: SharedArrayBuffer;
  /** Shared by all threads: descriptors for when there are no others. */
  readonly spares: SharedArrayBuffer;
  /** Read a file through the filesystem first, without the kernel; a version that cannot is none. */
  readonly selfTest: boolean;
  /** Its slot holds a request whose thread hangs: to be answered first, with the host's values. */
  readonly late: boolean;
  /** Slots of dead threads whose requests it is to execute first. */
  readonly inherited: readonly number[];
}

/** What a worker says. */
export type WorkerMessage =
  | { readonly kind: "contained"; readonly containment: Containment }
  | { readonly kind: "started" }
  | { readonly kind: "ready"; readonly replayed: number }
  | { readonly kind: "end"; readonly reason: End };

/** A request that was inherited this often has ended its servers; it is answered with an error. */
const MAX_ATTEMPTS = 3;

/** So many containers are looked at by a thread that others may wait for: a millisecond's work. */
const TIDY_AT_ONCE = 256;

function work(order: WorkerOrder): void {
  const { config } = order;
  const spares = new Spares(order.spares);
  canGive(() => spares.give());
  post({ kind: "contained", containment: containServingThread(config.view) });
  const state = openState(config.stateFd);
  onShortage(() => state.add("descriptorShortages"));
  const log = new Logger(config.logLevel);
  const counters = new Counters(state);
  const row = counters.row(order.slot);
  let { late } = order;
  const slot = new Slot(state, order.slot);
  const fuseFd = order.connection === "main" ? config.fuseFd : config.cachedFd;
  const backlog = new Backlog(state);
  const isQueued = (): boolean => pollFd(fuseFd, POLL.IN, 0) !== 0;
  const lead = new Lead(order.lead, order.slot, {
    isQueued: () => (order.connection === "main" && !backlog.isEmpty) || isQueued(),
    isStopping: () => slot.stopping,
    most: Math.max(1, Math.floor(availableParallelism() / 2)),
    onIdle: () => tidy(),
  });
  const context: FilesystemContext = {
    view: config.view,
    state,
    log,
    place: (file) => counters.place(file),
    row,
    readers: new ReaderRow(state, order.slot),
    sizes: new CacheSizesRow(state, order.slot),
    late: () => late,
    slow: () => lead.slow(),
  };
  const { operations, beginRequest, callerOf, tidy } =
    order.connection === "main"
      ? createFilesystem(context)
      : { beginRequest: undefined, callerOf: undefined, ...createCachedFilesystem(context) };
  if (order.selfTest) selfTest(operations);
  const { connection } = order;
  const idmap = connection === "cached" || !config.view.cgroupTree;
  // The second connection's readers wait for nothing but their own container's pages.
  const turns = callerOf && new Turns({ backlog, isQueued, callerOf, nowMs: monotonicMs });
  const onNudge = (): void => tidy(TIDY_AT_ONCE);
  const parts = {
    connection,
    fuseFd,
    idmap,
    state,
    operations,
    log,
    row,
    lead,
    turns,
    beginRequest,
    onNudge,
  };
  const engine = new Engine(slot, parts);
  post({ kind: "started" });
  if (late) engine.execute();
  late = false;
  let replayed = 0;
  for (const index of order.inherited) {
    const inherited = new Slot(state, index);
    if (inherited.busy && inherited.adopt(order.generation) <= MAX_ATTEMPTS) {
      new Engine(inherited, parts).execute();
      replayed++;
    }
    inherited.release();
  }
  post({ kind: "ready", replayed });
  const reason = engine.serve();
  slot.release();
  post({ kind: "end", reason });
}

function post(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

work(workerData as WorkerOrder);
