/** A serving thread that hangs: its reader is answered, other readers notice nothing. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { installed } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { statusOf, statusWhen } from "./control.ts";
import { Readers } from "./readers.ts";

/** Threads of `pid` that wait for requests: in read(2) (number 0 or 63) of the FUSE descriptor. */
function servingThreads(pid: number, fuseFd: number): number[] {
  const read = process.arch === "x64" ? 0 : 63;
  const waiting = new RegExp(`^${read} 0x${fuseFd.toString(16)} `);
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .filter((tid) => waiting.test(readFileSync(`/proc/${pid}/task/${tid}/syscall`, "latin1")));
}

void test(
  "a thread that hangs is replaced and its reader gets an answer",
  { skip: !installed("strace") && "strace is not installed" },
  async () => {
    const server = await Server.start({ args: ["--deadline", "500", "--workers", "2"] });
    try {
      const file = join(server.mountpoint, "proc/meminfo");
      const before = await statusWhen(server, "two workers", (status) => status.workers === 2);
      // Of the two, only the one that leads waits there.
      const [tid] = await waitFor("a waiting thread", () => {
        const tids = servingThreads(before.serverPid, before.fuseFd);
        return tids.length > 0 && tids;
      });
      // Its next answer is written six seconds late.
      const strace = spawn(
        "strace",
        ["-qq", "-o", "/dev/null", "-e", "inject=write:delay_enter=6000000:when=1", "-p", `${tid}`],
        { stdio: "ignore" },
      );
      guardWith(`kill ${strace.pid}`);
      await waitFor("strace is attached", () =>
        /^TracerPid:\s+[1-9]/m.test(
          readFileSync(`/proc/${before.serverPid}/task/${tid}/status`, "latin1"),
        ),
      );
      const readers = new Readers(file, 2);
      const late = await statusWhen(server, "a deadline missed", (s) => s.deadlineMisses > 0);
      await waitFor("a thread in its place", () => statusOf(server).workers === 2);
      assert.equal(late.serverPid, before.serverPid);
      const seen = await readers.end();
      assert.deepEqual(seen.failures, []);
      assert.ok(seen.slowestMs >= 400, `the delay did not hit a read: ${seen.slowestMs} ms`);
      assert.ok(seen.slowestMs < 3000, `a read took ${seen.slowestMs} ms`);
      // The thread comes back, finds its request answered, and ends.
      await waitFor(
        "the late thread has ended",
        () => !readdirSync(`/proc/${before.serverPid}/task`).includes(String(tid)),
      );
      assert.equal(statusOf(server).workers, 2);
      assert.equal(statusOf(server).workerDeaths, 0);
      // Its tracer has nothing left to trace.
      await waitFor("strace has ended", () => strace.exitCode !== null);
      await server.stop();
    } finally {
      server.kill();
    }
  },
);
