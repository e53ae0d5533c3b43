/**
 * Files that the kernel's page cache answers: fresh, whole, and one container's own, whatever
 * happens to the limits and to the server meanwhile.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { containerNames } from "../../src/attach/identity.ts";
import { cachedMountPointOf } from "../../src/attach/served.ts";
import { attachCommand } from "../support/project.ts";
import { statusWhen } from "../daemon/control.ts";
import { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { run, tryRun } from "../support/run.ts";
import { Server } from "../support/server.ts";

const READER = join(import.meta.dirname, "reader.js");
const MIB = 1 << 20;

interface Judgement {
  readonly reads: number;
  readonly failures: number;
  readonly wrong: string;
}

async function read(file: string, seconds: number, expected: string): Promise<Judgement> {
  const argv = [READER, file, String(seconds), expected];
  const { stdout } = await promisify(execFile)(process.execPath, argv);
  return JSON.parse(stdout) as Judgement;
}

/** The cached directory of a container. */
function cachedDirectory(server: Server, container: Container): string {
  const names = containerNames("/proc");
  const name = names.nameOf(container.initPid);
  names.close();
  const cached = cachedMountPointOf(server.mountpoint);
  assert.ok(cached !== undefined && name !== undefined);
  return join(cached, "containers", name);
}

void suite("cached files", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let small: Container;
  let large: Container;
  let smallFiles = "";
  let largeFiles = "";

  before(async () => {
    lab = await Lab.open();
    small = await lab.container({ limits: { memoryBytes: 64 * MIB } });
    large = await lab.container({ limits: { memoryBytes: 200 * MIB } });
    smallFiles = cachedDirectory(lab.server, small);
    largeFiles = cachedDirectory(lab.server, large);
    // The first request starts the threads.
    readFileSync(join(smallFiles, "proc/meminfo"));
  });
  after(() => lab.close());

  void test("their size never changes, and is what is read", () => {
    for (const name of ["meminfo", "stat", "uptime", "loadavg", "swaps"]) {
      const file = join(smallFiles, "proc", name);
      const size = Number(spawnSync("stat", ["-c", "%s", file]).stdout.toString());
      assert.ok(size > 0, name);
      for (let i = 0; i < 20; i++) assert.equal(readFileSync(file).length, size, name);
    }
  });

  void test("files that carry triggers, or may outgrow a page, are not among them", () => {
    for (const name of ["proc/pressure", "proc/cpuinfo", "proc/vmstat", "sys"]) {
      assert.equal(existsSync(join(smallFiles, name)), false, name);
    }
  });

  void test("uptime goes on, no older than the bound as the scheduler allows", async () => {
    const file = join(smallFiles, "proc/uptime");
    await sleep(100);
    const seconds = (): number => Number.parseFloat(readFileSync(file, "latin1"));
    const startMs = performance.now();
    const start = seconds();
    const ages: number[] = [];
    for (let last = start; performance.now() - startMs < 2000;) {
      // Before the read: how long this process had to wait for a CPU afterwards is no age.
      const askedMs = performance.now();
      const now = seconds();
      assert.ok(now >= last, `${last} then ${now}`);
      last = now;
      ages.push(askedMs - startMs - (now - start) * 1000);
    }
    ages.sort((a, b) => a - b);
    const at = (share: number): number => ages[Math.floor(share * (ages.length - 1))] ?? Infinity;
    // 10 ms of freshness and 10 ms of uptime's own resolution; the rest is the scheduler's.
    assert.ok(at(0.5) < 25, `the median age is ${at(0.5)} ms`);
    assert.ok(at(0.99) < 250, `the 99th percentile of ages is ${at(0.99)} ms`);
    assert.ok(ages.length > 2000, `${ages.length} reads in two seconds`);
  });

  void test("no text is cut, mixed or another container's while limits change", async () => {
    const whole = (mib: string): string =>
      `^MemTotal: +(?:${mib}) kB\\nMemFree: .*\\nDirectMap[^\\n]* kB *\\n$`;
    const limit = small.cgroups
      .directories()
      .flatMap((path) => [join(path, "memory.limit_in_bytes"), join(path, "memory.max")])
      .find((path) => existsSync(path));
    assert.ok(limit !== undefined);
    const [first, second, other] = [64, 96, 200].map((mib) => String(mib * 1024));
    const readers = [
      read(join(smallFiles, "proc/meminfo"), 3, whole(`${first}|${second}`)),
      read(join(smallFiles, "proc/meminfo"), 3, whole(`${first}|${second}`)),
      read(join(largeFiles, "proc/meminfo"), 3, whole(`${other}`)),
      read(
        join(smallFiles, "proc/stat"),
        3,
        "^cpu  .*\\nintr \\d+(?: 0)* ?\\n.*softirq [\\d ]+\\n$",
      ),
    ];
    for (let i = 0; i < 40; i++) {
      writeFileSync(limit, String((i % 2 === 0 ? 96 : 64) * MIB));
      await sleep(50);
    }
    for (const { reads, failures, wrong } of await Promise.all(readers)) {
      assert.equal(wrong, "");
      assert.equal(failures, 0);
      assert.ok(reads > 100);
    }
  });

  void test("a change of the limit is seen at once", async () => {
    const container = await lab.container({ limits: { memoryBytes: 64 * MIB } });
    const file = join(cachedDirectory(lab.server, container), "proc/meminfo");
    assert.match(readFileSync(file, "latin1"), /^MemTotal: +65536 kB/);
    for (const directory of container.cgroups.directories()) {
      for (const name of ["memory.limit_in_bytes", "memory.max"]) {
        const path = join(directory, name);
        if (existsSync(path)) writeFileSync(path, String(80 * MIB));
      }
    }
    await sleep(250);
    assert.match(readFileSync(file, "latin1"), /^MemTotal: +81920 kB/);
  });

  void test("sendfile, too, sends what is true when the file was opened", async () => {
    const file = join(smallFiles, "proc/uptime");
    // busybox's cat begins with sendfile(2), which does not ask for attributes itself.
    const sent = (): number => Number.parseFloat(run(["busybox", "cat", file]));
    const first = sent();
    await sleep(300);
    assert.ok(sent() >= first + 0.28, `${sent()} after ${first}`);
  });

  void test("what is attached comes from there", async () => {
    const container = await Container.start({ limits: { memoryBytes: 64 * MIB } });
    after(() => container.stop());
    const { status, stderr } = tryRun([
      ...attachCommand,
      "--mountpoint",
      lab.server.mountpoint,
      String(container.initPid),
    ]);
    assert.equal(status, 0, stderr);
    const mounts = readFileSync(`/proc/${container.initPid}/mountinfo`, "latin1");
    assert.match(
      mounts,
      / \/containers\/\S+\/proc\/meminfo \/proc\/meminfo .* fuse\.lxcfs cached:/,
    );
    assert.match(mounts, / \/containers\/\S+\/proc\/cpuinfo \/proc\/cpuinfo .* fuse\.lxcfs lxcfs /);
    assert.match(container.exec(["cat", "/proc/meminfo"]), /^MemTotal: +65536 kB/);
  });

  void test("the server's death fails no read and leaves no old page behind", async () => {
    const file = join(smallFiles, "proc/uptime");
    const reader = read(file, 4, "^\\d+\\.\\d\\d \\d+\\.\\d\\d *\\n$");
    for (let kill = 0; kill < 3; kill++) {
      await sleep(900);
      const { serverPid } = await statusWhen(lab.server, "an answer", () => true);
      process.kill(serverPid, "SIGKILL");
    }
    const { failures, wrong, reads } = await reader;
    assert.equal(wrong, "");
    assert.equal(failures, 0);
    assert.ok(reads > 1000);
    const before = Number.parseFloat(readFileSync(file, "latin1"));
    await sleep(500);
    assert.ok(Number.parseFloat(readFileSync(file, "latin1")) >= before + 0.4);
  });

  void test("nobody in a container finds the way to another's files", () => {
    const cached = cachedMountPointOf(lab.server.mountpoint);
    for (const path of [lab.server.mountpoint, cached ?? ""]) {
      const { status, stderr } = small.tryExec(["ls", join(path, "containers")]);
      assert.notEqual(status, 0, `${path}: ${stderr}`);
    }
  });
});

void test("--freshness 0 caches nothing", { skip: whyNoMounts() }, async () => {
  const server = await Server.start({ args: ["--freshness", "0"] });
  try {
    assert.equal(cachedMountPointOf(server.mountpoint), undefined);
  } finally {
    await server.stop();
  }
});
