/**
 * Test program: serves the sample filesystem on the descriptor 4 it inherits, in worker threads, and
 * does what its parent asks for over IPC. Ends when the parent goes.
 */
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { cloneFuseDevice, DeviceChannel, Notifier, Session } from "../../src/fuse/index.ts";
import type { Negotiated, SessionOptions } from "../../src/fuse/index.ts";
import { sampleFilesystem, Word } from "./sample_filesystem.ts";

const FUSE_FD = 4;

/** What the parent gives as JSON argument. */
export interface ServerOptions {
  workers: number;
  clone?: boolean;
  slowMs?: number;
  /** Without it, INTERRUPTs are switched off at the first one. */
  interrupts?: boolean;
  session?: SessionOptions;
}

/** What the parent may ask; the answer is the notification's result, or the shared words. */
export type Ask =
  | { ask: "words" }
  | { ask: "set"; word: number; value: number }
  | { ask: "invalInode" | "invalEntry" | "poll" | "resend" | "store" };

interface Task {
  fd: number;
  words: SharedArrayBuffer;
  options: ServerOptions;
}

function serve({ fd, words, options }: Task, tell: (negotiated: Negotiated) => void): void {
  const shared = new Int32Array(words);
  const operations = sampleFilesystem(shared);
  if (!options.interrupts) delete operations.interrupt;
  const session = new Session(new DeviceChannel(fd), operations, {
    ...options.session,
    onInit: tell,
    onError: () => void Atomics.add(shared, Word.ERRORS, 1),
  });
  let resent = 0;
  while (session.serveOne()) {
    Atomics.add(shared, Word.REQUESTS, 1);
    Atomics.add(shared, Word.RESENT, session.counts.resent - resent);
    resent = session.counts.resent;
  }
}

function notify(notifier: Notifier, shared: Int32Array, { ask }: Ask): number {
  switch (ask) {
    case "invalInode":
      return notifier.invalInode(6);
    case "invalEntry":
      return notifier.invalEntry(1, "hello");
    case "store":
      return notifier.store(6, 0, Buffer.from("kept"));
    case "poll":
      return notifier.poll(Atomics.load(shared, Word.POLL_KH));
    case "resend":
      return notifier.resend();
    default:
      return 0;
  }
}

function main(options: ServerOptions): void {
  const words = new SharedArrayBuffer(4 * Word.COUNT);
  const shared = new Int32Array(words);
  shared[Word.SLOW_MS] = options.slowMs ?? 100;
  const notifier = new Notifier(new DeviceChannel(FUSE_FD));
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  process.on("message", (message: Ask) => {
    if (message.ask === "set") shared[message.word] = message.value;
    const result = message.ask === "words" ? [...shared] : notify(notifier, shared, message);
    process.send?.({ result });
  });
  let running = options.workers;
  let online = 0;
  for (let index = 0; index < options.workers; index++) {
    const fd = options.clone && index > 0 ? cloneFuseDevice(FUSE_FD) : FUSE_FD;
    const task: Task = { fd, words, options };
    const worker = new Worker(new URL(import.meta.url), { workerData: task });
    worker.on("message", (negotiated: Negotiated) => process.send?.({ negotiated }));
    worker.on("online", () => {
      if (++online === options.workers) process.send?.({ online });
    });
    worker.on("exit", () => {
      if (--running === 0) process.exit(0);
    });
  }
}

if (isMainThread) {
  main(JSON.parse(process.argv[2] ?? "{}") as ServerOptions);
} else {
  const { parentPort } = await import("node:worker_threads");
  serve(workerData as Task, (negotiated) => parentPort?.postMessage(negotiated));
}
