/**
 * Jobs on several threads, each with a time limit. A thread that is held in the kernel by a
 * filesystem that does not answer is left behind and another takes its place: one stuck container
 * does not keep the others waiting, and a job that was given up changes nothing when it wakes.
 */
import { Worker } from "node:worker_threads";
import { BEGIN, GIVEN_UP, type Answer, type Ask } from "./pool_protocol.ts";
import type { Job, Outcome } from "./types.ts";

export interface PoolOptions {
  /** Threads at most; they are started when there is work for them. */
  readonly threads: number;
  readonly timeLimitMs: number;
  /** Whether to try MOVE_MOUNT_BENEATH; where the kernel does not know it, it is done without. */
  readonly beneath: boolean;
}

export const DEFAULT_POOL: PoolOptions = { threads: 4, timeLimitMs: 5000, beneath: true };

/** A thread is no container's fault: on a busy or emulated machine it may take seconds to start. */
const THREAD_START_MS = 30_000;
/** A mount system call waits for no filesystem: once begun, this is ample. */
const COMMIT_GRACE_MS = 10_000;

interface Waiting {
  readonly job: Job;
  readonly resolve: (outcome: Outcome) => void;
}

/** Close it when done. */
export class AttachPool {
  readonly #options: PoolOptions;
  readonly #queue: Waiting[] = [];
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  #nextId = 1;
  #stuck = 0;

  constructor(options: Partial<PoolOptions> = {}) {
    this.#options = { ...DEFAULT_POOL, ...options };
  }

  /** Threads that never came back. They end with the process, or when what holds them lets go. */
  get stuckThreads(): number {
    return this.#stuck;
  }

  /** Never rejects: what goes wrong is the outcome. */
  run(job: Job): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#queue.push({ job, resolve });
      this.#next();
    });
  }

  async close(): Promise<void> {
    const idle = this.#idle.splice(0);
    for (const worker of this.#all) worker.unref();
    this.#all.clear();
    await Promise.all(idle.map((worker) => worker.terminate()));
  }

  #next(): void {
    const waiting = this.#queue[0];
    if (!waiting) return;
    const worker = this.#idle.pop() ?? this.#start();
    if (!worker) return;
    this.#queue.shift();
    this.#give(worker, waiting);
  }

  #start(): Worker | undefined {
    if (this.#all.size >= this.#options.threads) return undefined;
    const worker = new Worker(new URL("./worker.js", import.meta.url), {
      // Descriptors made by system calls of our own are not in the books of the thread.
      trackUnmanagedFds: false,
    });
    this.#all.add(worker);
    return worker;
  }

  #give(worker: Worker, { job, resolve }: Waiting): void {
    const { beneath, timeLimitMs } = this.#options;
    const id = this.#nextId++;
    const gate = new SharedArrayBuffer(4);
    const startedMs = performance.now();

    const finish = (outcome: Outcome, usable: boolean): void => {
      clearTimeout(timer);
      worker.off("message", onMessage);
      worker.off("error", onError);
      if (usable) {
        this.#idle.push(worker);
        worker.unref();
      } else {
        this.#abandon(worker);
      }
      resolve(outcome);
      this.#next();
    };
    const failure = (status: Outcome["status"], message: string): Outcome => ({
      pid: job.pid,
      status,
      steps: [],
      message,
      milliseconds: performance.now() - startedMs,
    });
    const onMessage = (answer: Answer): void => {
      if (answer.id !== id) return;
      if (answer.outcome !== undefined) {
        finish(answer.outcome, true);
        return;
      }
      clearTimeout(timer);
      timer = setTimeout(onTimeout, timeLimitMs);
    };
    const onError = (error: Error): void => finish(failure("failed", error.message), false);
    const onTimeout = (): void => {
      const before = Atomics.compareExchange(new Int32Array(gate), 0, BEGIN, GIVEN_UP);
      if (before === BEGIN) {
        const message = `no answer within ${timeLimitMs} ms, given up; nothing was changed`;
        finish(failure("timeout", message), false);
        return;
      }
      timer = setTimeout(() => {
        finish(failure("failed", "the kernel did not finish mounting; state unknown"), false);
      }, COMMIT_GRACE_MS);
    };

    // The limit is the job's: it runs from when the thread says that it begins.
    let timer = setTimeout(onTimeout, Math.max(timeLimitMs, THREAD_START_MS));
    worker.ref();
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.postMessage({ id, job, gate, beneath } satisfies Ask);
  }

  #abandon(worker: Worker): void {
    this.#all.delete(worker);
    this.#stuck++;
    worker.unref();
  }
}
