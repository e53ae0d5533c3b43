import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Lead, LEAD_BYTES, LeadWatch } from "./lead.ts";

/** A thread that begins, says so, and then settles each time it is told to go on. */
const THREAD = `
const { workerData, parentPort } = require("node:worker_threads");
import(workerData.module).then(({ Lead }) => {
  const go = new Int32Array(workerData.go);
  const lead = new Lead(workerData.memory, workerData.slot, { isQueued: () => go[1] === 1, isStopping: () => go[2] === 1, most: 2 });
  lead.begin();
  parentPort.postMessage("leads");
  while (go[2] !== 1) { Atomics.wait(go, 0, 0); if (go[2] === 1) break; go[0] = 0; lead.settle(); parentPort.postMessage("leads"); }
  lead.end();
});`;

interface Thread {
  readonly go: Int32Array;
  readonly said: string[];
  readonly worker: Worker;
  proceed(): void;
}

function start(memory: SharedArrayBuffer, slot: number): Thread {
  const go = new Int32Array(new SharedArrayBuffer(12));
  const module = new URL("./lead.js", import.meta.url).href;
  const worker = new Worker(THREAD, {
    eval: true,
    workerData: { memory, slot, module, go: go.buffer },
  });
  const said: string[] = [];
  worker.on("message", (text: string) => said.push(text));
  const proceed = (): void => {
    go[0] = 1;
    Atomics.notify(go, 0);
  };
  return { go, said, worker, proceed };
}

async function until(what: string, is: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (is()) return;
    await sleep(10);
  }
  assert.fail(`never: ${what}`);
}

test("the second thread stands by until the first one hangs, or ends", async () => {
  const watch = new LeadWatch();
  const first = start(watch.memory, 0);
  await until("the first leads", () => first.said.length === 1);
  const second = start(watch.memory, 1);
  await sleep(300);
  assert.equal(second.said.length, 0);
  watch.hangs(0);
  await until("the second leads", () => second.said.length === 1);
  // The first comes back: one of both is enough.
  first.proceed();
  await sleep(200);
  assert.equal(first.said.length, 1, "it stands by");
  second.go[2] = 1;
  second.proceed();
  await until("the first leads again", () => first.said.length === 2);
  first.go[2] = 1;
  first.proceed();
  watch.callAll();
  await Promise.all([first.worker.terminate(), second.worker.terminate()]);
});

test("a queue calls the one that stands by, and it leaves when the queue is gone", async () => {
  const watch = new LeadWatch();
  const first = start(watch.memory, 0);
  await until("the first leads", () => first.said.length === 1);
  const second = start(watch.memory, 1);
  first.go[1] = 1;
  second.go[1] = 0;
  await sleep(100);
  for (let request = 0; request < 200 && second.said.length === 0; request++) {
    const before = first.said.length;
    first.proceed();
    await until("the first settles", () => first.said.length > before);
  }
  await until("the second leads, too", () => second.said.length === 1);
  second.proceed();
  await sleep(200);
  assert.equal(second.said.length, 1, "no queue that it sees: it stands by again");
  for (const thread of [first, second]) {
    thread.go[2] = 1;
    thread.proceed();
  }
  watch.callAll();
  await Promise.all([first.worker.terminate(), second.worker.terminate()]);
});

test("a thread alone leads, whatever happens", () => {
  const lead = new Lead(new SharedArrayBuffer(LEAD_BYTES), 3, {
    isQueued: () => true,
    isStopping: () => false,
    most: 2,
  });
  lead.begin();
  for (let request = 0; request < 1000; request++) {
    lead.slow();
    lead.settle();
  }
  lead.end();
});
