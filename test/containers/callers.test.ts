/** Who asks: every kind of process gets its own container's answer. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";
import { run } from "../support/run.ts";

const MIB = 1 << 20;

const memTotalKb = (text: string): number | undefined => keyedNumbers(text).get("MemTotal");

void describe("callers", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;
  before(async () => {
    lab = await Lab.open();
    container = await lab.container({ limits: { memoryBytes: 64 * MIB } });
  });
  after(async () => await lab?.close());

  void test("the host, in no container, sees the host", () => {
    const read = (path: string): number | undefined => memTotalKb(readFileSync(path, "utf8"));
    assert.equal(read(join(lab.server.mountpoint, "proc/meminfo")), read("/proc/meminfo"));
  });

  void test("a thread other than the first", () => {
    const program = `
      const { Worker } = require("node:worker_threads");
      new Worker("process.stdout.write(require('fs').readFileSync('/proc/meminfo', 'utf8'))",
        { eval: true });`;
    assert.equal(memTotalKb(container.exec([process.execPath, "-e", program])), 64 * 1024);
  });

  void test("a process in a pid namespace below the container's", () => {
    const nested = ["unshare", "--pid", "--fork", "cat", "/proc/meminfo"];
    assert.equal(memTotalKb(container.exec(nested)), 64 * 1024);
  });

  void test("a process that entered the namespaces from outside, in the host's cgroup", () => {
    const enter = ["nsenter", "-t", String(container.initPid), "-m", "-p"];
    assert.equal(memTotalKb(run([...enter, "cat", "/proc/meminfo"])), 64 * 1024);
  });

  void test("a process in a cgroup below the container's own", () => {
    const below = container.cgroups.makeBelow(container.cgroups.path, "service");
    const meminfo = run(container.command(["cat", "/proc/meminfo"], below));
    assert.equal(memTotalKb(meminfo), 64 * 1024);
  });

  void test("an unprivileged process", () => {
    const setpriv = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    assert.equal(memTotalKb(container.exec([...setpriv, "cat", "/proc/meminfo"])), 64 * 1024);
  });

  void test("a container in a user namespace of its own", async () => {
    const limits = { memoryBytes: 80 * MIB };
    const mapped = await lab.container({ limits, userBase: 300_000 });
    assert.equal(memTotalKb(mapped.read("/proc/meminfo")), 80 * 1024);
    assert.equal(mapped.exec(["wc", "-l", "/proc/stat"]).trim() === "", false);
  });

  void test("a container that shares another's pid namespace sees its own limit", async () => {
    const limits = { memoryBytes: 48 * MIB };
    const sidecar = await lab.container({ limits, pidNamespaceOf: container.initPid });
    assert.equal(memTotalKb(sidecar.read("/proc/meminfo")), 48 * 1024);
    assert.equal(memTotalKb(container.read("/proc/meminfo")), 64 * 1024);
  });

  void test("a container in the host's pid namespace sees its own limit", async () => {
    const limits = { memoryBytes: 40 * MIB };
    const inHost = await lab.container({ limits, pidNamespaceOf: process.pid });
    assert.equal(memTotalKb(inHost.read("/proc/meminfo")), 40 * 1024);
  });

  void test("a container whose init moved into init.scope, as systemd does", async () => {
    const systemd = await lab.container({ limits: { memoryBytes: 56 * MIB } });
    const scope = systemd.cgroups.makeBelow(systemd.cgroups.path, "init.scope");
    for (const directory of systemd.cgroups.directories(scope)) {
      run(["sh", "-c", 'echo "$1" > "$2/cgroup.procs"', "sh", String(systemd.initPid), directory]);
    }
    systemd.cgroups.limit({ memoryBytes: 24 * MIB }, scope);
    assert.equal(memTotalKb(systemd.read("/proc/meminfo")), 56 * 1024);
  });

  void test("a container inside a container: the tighter limit of both", async () => {
    const inner = container.cgroups.makeBelow(container.cgroups.path, "nested");
    container.cgroups.limit({ memoryBytes: 32 * MIB }, inner);
    const nested = ["unshare", "--pid", "--fork", "--cgroup", "cat", "/proc/meminfo"];
    assert.equal(memTotalKb(run(container.command(nested, inner))), 32 * 1024);
    container.cgroups.limit({ memoryBytes: 512 * MIB }, inner);
    // A text may be given again for ten milliseconds (--freshness).
    await sleep(20);
    assert.equal(memTotalKb(run(container.command(nested, inner))), 64 * 1024);
  });

  void test("an init whose name has spaces and parentheses", async () => {
    const name = "a b) (c";
    // Two processes, so that the shell stays and keeps the name it gave itself.
    const init = ["sh", "-c", `printf '${name}' > /proc/self/comm; sleep 1000; :`];
    const odd = await lab.container({ init, limits: { memoryBytes: 44 * MIB } });
    const [uptime = Number.NaN] = odd.read("/proc/uptime").split(" ").map(Number);
    assert.ok(uptime >= 0 && uptime < 60, `uptime is ${uptime}`);
    assert.equal(memTotalKb(odd.read("/proc/meminfo")), 44 * 1024);
  });

  void test("hundreds of short readers of containers that come and go", async () => {
    for (let round = 0; round < 4; round++) {
      const memoryBytes = (32 + round) * MIB;
      const short = await lab.container({ limits: { memoryBytes } });
      const script = "for i in 1 2 3 4 5 6 7 8 9 10; do cat /proc/meminfo & done; wait";
      const totals = short.exec(["sh", "-c", script]).match(/^MemTotal: +\d+/gm) ?? [];
      assert.equal(totals.length, 10);
      for (const line of totals) assert.equal(memTotalKb(line), memoryBytes / 1024);
      short.stop();
    }
  });
});
