/** Thread of the pool: takes one job at a time and answers with its outcome. */
import { parentPort } from "node:worker_threads";
import { NamespaceThread } from "./commit.ts";
import { type Answer, BEGIN, COMMITTING, GIVEN_UP, type Ask } from "./pool_protocol.ts";
import { runJob } from "./run_job.ts";

const port = parentPort;
if (!port) throw new Error("This module runs as a worker thread only");
const thread = new NamespaceThread();
port.on("message", ({ id, job, gate, beneath }: Ask) => {
  const state = new Int32Array(gate);
  const mayCommit = (): boolean =>
    Atomics.compareExchange(state, 0, BEGIN, COMMITTING) !== GIVEN_UP;
  port.postMessage({ id } satisfies Answer);
  port.postMessage({ id, outcome: runJob(job, thread, { beneath, mayCommit }) });
});
