/**
 * A serving thread: reads requests from the kernel, answers them, and does nothing else. Its loop is
 * synchronous; it ends when its slot says so or when the filesystem is unmounted.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import { Counters } from "./counters.ts";
import { type End, Engine } from "./engine.ts";
import { createFilesystem } from "./filesystem.ts";
import { selfTest } from "./self_test.ts";
import { Slot } from "./slots.ts";
import { openState } from "./state.ts";

/** What the main thread gives a worker. */
export interface WorkerOrder {
  readonly config: DaemonConfig;
  readonly generation: number;
  /** Slot taken for this worker. */
  readonly slot: number;
  /** Read a file through the filesystem first, without the kernel; a version that cannot is none. */
  readonly selfTest: boolean;
  /** Its slot holds a request whose thread hangs: to be answered first, with the host's values. */
  readonly late: boolean;
  /** Slots of dead threads whose requests it is to execute first. */
  readonly inherited: readonly number[];
}

/** What a worker says. */
export type WorkerMessage =
  | { readonly kind: "started" }
  | { readonly kind: "ready"; readonly replayed: number }
  | { readonly kind: "end"; readonly reason: End };

/** A request that was inherited this often has ended its servers; it is answered with an error. */
const MAX_ATTEMPTS = 3;

function work(order: WorkerOrder): void {
  const { config } = order;
  const state = openState(config.stateFd);
  const log = new Logger(config.logLevel);
  const counters = new Counters(state);
  const row = counters.row(order.slot);
  let { late } = order;
  const operations = createFilesystem({
    view: config.view,
    state,
    log,
    place: (file) => counters.place(file),
    row,
    late: () => late,
  });
  if (order.selfTest) selfTest(operations);
  const parts = { fuseFd: config.fuseFd, state, operations, log, row };
  const slot = new Slot(state, order.slot);
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
