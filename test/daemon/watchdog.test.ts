/** A serving thread that hangs: its reader is answered, other readers notice nothing. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { Container } from "../support/container.ts";
import { installed } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { metricAt, statusOf, statusWhen } from "./control.ts";
import { Readers } from "./readers.ts";

/** Threads of `pid` that wait for requests: in read(2) (number 0 or 63) of the FUSE descriptor. */
function servingThreads(pid: number, fuseFd: number): number[] {
  const read = process.arch === "x64" ? 0 : 63;
  const waiting = new RegExp(`^${read} 0x${fuseFd.toString(16)} `);
  return readdirSync(`/proc/${pid}/task`)
    .map(Number)
    .filter((tid) => waiting.test(readFileSync(`/proc/${pid}/task/${tid}/syscall`, "latin1")));
}

/** Has the next `call` of a thread take six seconds. */
async function delay(call: string, pid: number, tid = 0): Promise<ChildProcess> {
  const inject = `inject=${call}:delay_enter=6000000:when=1`;
  const argv = ["-qq", "-o", "/dev/null", "-e", inject, "-p", String(tid)];
  const strace = spawn("strace", argv, { stdio: "ignore" });
  guardWith(`kill ${strace.pid}`);
  await waitFor("strace is attached", () =>
    /^TracerPid:\s+[1-9]/m.test(readFileSync(`/proc/${pid}/task/${tid}/status`, "latin1")),
  );
  return strace;
}

void test(
  "a thread that hangs is replaced and its reader gets an answer",
  { skip: !installed("strace") && "strace is not installed" },
  async () => {
    const socket = join(tmpdir(), `lxcfs-watchdog-${process.pid}.sock`);
    const args = ["--deadline", "500", "--workers", "2", "--metrics", socket];
    const server = await Server.start({ args });
    try {
      const file = join(server.mountpoint, "proc/meminfo");
      const before = await statusWhen(server, "two workers", (status) => status.workers === 2);
      // Of the two, only the one that leads waits there.
      const [tid] = await waitFor("a waiting thread", () => {
        const tids = servingThreads(before.serverPid, before.fuseFd);
        return tids.length > 0 && tids;
      });
      // Its next answer is written six seconds late.
      const strace = await delay("write", before.serverPid, tid);
      const readers = new Readers(file, 2);
      const late = await statusWhen(server, "a deadline missed", (s) => s.deadlineMisses > 0);
      const counted = (): boolean => metricAt(socket, "deadline_misses_total") > 0;
      await waitFor("it is counted", counted, 15_000);
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

/** Reads a file that it keeps open each time it is told to, and prints the first line. */
const HELD = `
const fs = require("node:fs");
const fd = fs.openSync("/proc/meminfo", "r");
const buffer = Buffer.alloc(65536);
process.stdin.on("data", () => {
  const text = buffer.toString("latin1", 0, fs.readSync(fd, buffer, 0, buffer.length, 0));
  console.log(text.slice(0, text.indexOf("\\n")));
});`;

void test(
  "a container whose request hangs reads its own last values, not the host's",
  { skip: !installed("strace") && "strace is not installed" },
  async () => {
    const server = await Server.start({ args: ["--deadline", "500", "--workers", "2"] });
    const limits = { memoryBytes: 64 << 20 };
    const container = await Container.start({ mountpoint: server.mountpoint, limits });
    const own = /^MemTotal: +65536 kB/;
    try {
      const status = await statusWhen(server, "two workers", ({ workers }) => workers === 2);
      const waiting = (): Promise<number[]> =>
        waitFor("a waiting thread", () => {
          const tids = servingThreads(status.serverPid, status.fuseFd);
          return tids.length > 0 && tids;
        });
      const held = container.spawn([process.execPath, "-e", HELD]);
      const { stdin, stdout } = held;
      if (stdin === null || stdout === null) throw new Error("The reader has no pipes");
      const read = async (): Promise<string> => {
        const line = once(stdout.setEncoding("utf8"), "data") as Promise<[string]>;
        stdin.write("again\n");
        return (await line)[0];
      };
      assert.match(await read(), own);
      // The next file of its cgroup that is read takes six seconds.
      const reading = await delay("pread64", status.serverPid, (await waiting())[0]);
      assert.match(await read(), own);
      assert.ok((statusOf(server).requests["proc/meminfo"]?.late ?? 0) >= 1);
      held.kill();
      await waitFor("strace has ended", () => reading.exitCode !== null);

      // Who opens a file is looked up in files, too. Found out late, it is found out all the same.
      const opening = await delay("pread64", status.serverPid, (await waiting())[0]);
      assert.match(container.read("/proc/meminfo"), own);
      assert.ok(statusOf(server).deadlineMisses >= 2);
      await waitFor("strace has ended", () => opening.exitCode !== null);
      await server.stop();
    } finally {
      container.stop();
      server.kill();
    }
  },
);
