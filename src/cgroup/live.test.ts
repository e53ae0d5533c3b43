/**
 * Readings against the running kernel: cgroups are made, something of known size is done in them,
 * and the readings must move by as much. Needs root and a cgroup hierarchy that may be written.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createInterface } from "node:readline";
import { readFile, tryReadFile } from "../sys/read.ts";
import { cgroupFile } from "./cgroup_file.ts";
import { openContainerCgroups } from "./container.ts";
import { detectLayout, hierarchyOf } from "./layout.ts";
import type { ContainerCgroups, MemoryReading } from "./types.ts";

const MIB = 1 << 20;
const PREFIX = "lxcfs-cgroup-test-";
const NAME = PREFIX + process.pid;

const layout = detectLayout(readFile("/proc/self/mountinfo"));
const tops = layout.hierarchies.map((hierarchy) => `${hierarchy.mountPoint}/${NAME}`);

/** Why these tests cannot run here; false if they can. */
function obstacle(): string | false {
  const [first] = tops;
  if (first === undefined) return "no cgroup hierarchy is mounted";
  try {
    mkdirSync(first);
    rmdirSync(first);
    return false;
  } catch (error) {
    return `cgroups cannot be made: ${String(error)}`;
  }
}

/**
 * A process in the container that does as it is told, a line an order: `touch N` keeps N MiB more,
 * `burn MS` computes. It ends when the test does, even one that is killed: its stdin ends then.
 */
const WORKER = `
  const kept = [];
  require("readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const [order, amount] = line.split(" ");
    if (order === "touch") kept.push(Buffer.alloc(amount * 1048576, 1));
    if (order === "burn") { const end = Date.now() + Number(amount); while (Date.now() < end); }
    console.log("done");
  }).on("close", () => process.exit());`;

describe("on the running kernel", { skip: obstacle() }, () => {
  let worker: ChildProcess;
  let answers: AsyncIterator<string>;
  let container: ContainerCgroups;

  const order = async (line: string): Promise<void> => {
    worker.stdin?.write(`${line}\n`);
    assert.equal((await answers.next()).value, "done");
  };

  before(async () => {
    for (const hierarchy of layout.hierarchies) await removeLeftovers(hierarchy.mountPoint);
    for (const hierarchy of layout.hierarchies) makeGroups(hierarchy.mountPoint);
    const inner = tops.map((top) => `${top}/inner`);
    const enter = 'for d; do echo $$ > "$d/cgroup.procs" || exit; done; exec "$NODE" -e "$WORKER"';
    worker = spawn("sh", ["-c", enter, "sh", ...inner], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, NODE: process.execPath, WORKER },
    });
    assert.ok(worker.stdout);
    answers = createInterface(worker.stdout)[Symbol.asyncIterator]();
    container = openContainerCgroups(
      layout,
      new Map(layout.hierarchies.map((hierarchy) => [hierarchy, `/${NAME}/inner`])),
    );
  });

  after(async () => {
    container.close();
    worker.stdin?.end();
    if (worker.exitCode === null) await once(worker, "exit");
    for (const top of tops) {
      for (const directory of [`${top}/inner`, top]) await removeGroup(directory);
    }
  });

  test("memory that is touched appears as anonymous memory", async () => {
    await order("touch 1");
    const amount = 40;
    // The statistics lag behind the usage: measure from where both agree.
    const earlier = await settled(
      () => container.memory(),
      (memory) => memory !== undefined && unexplained(memory) < MIB,
    );
    await order(`touch ${amount}`);
    const later = await settled(
      () => container.memory(),
      (memory) => (memory?.stat.anon ?? 0) - (earlier?.stat.anon ?? 0) >= amount * MIB * 0.99,
    );
    assert.ok(earlier && later);
    const moved = (later.stat.anon - earlier.stat.anon) / MIB;
    assert.ok(moved > amount * 0.99 && moved < amount + 4, `${moved} MiB`);
    const used = (later.usageBytes - earlier.usageBytes) / MIB;
    assert.ok(used > amount * 0.99 && used < amount + 6, `${used} MiB`);
  });

  test("limits of the level above hold, and changes are seen at once", () => {
    const memory = hierarchyOf(layout.hierarchies, "memory");
    const file = `${memory?.mountPoint}/${NAME}/memory.${memory?.version === 2 ? "max" : "limit_in_bytes"}`;
    for (const mib of [512, 300, 700]) {
      writeFileSync(file, String(mib * MIB));
      assert.deepEqual(container.memory()?.limit, { value: mib * MIB, file, levels: 3 });
    }
  });

  test("CPU time that is burnt appears", async () => {
    await order("burn 1");
    const earlier = container.cpuTimes();
    await order("burn 400");
    const later = container.cpuTimes();
    assert.ok(earlier && later);
    const ms = (later.usageUs - earlier.usageUs) / 1000;
    // Others may have had the CPU meanwhile: only the upper bound is sharp.
    assert.ok(ms > 40 && ms < 480, `${ms} ms`);
    assert.ok(later.userUs >= earlier.userUs && later.systemUs >= earlier.systemUs);
  });

  test("files that are read in one piece are read whole", () => {
    const lines = (text: string | undefined): number => text?.split("\n").length ?? 0;
    for (const directory of tops.map((top) => `${top}/inner`)) {
      for (const name of readdirSync(directory)) {
        if (!/stat$|usage_all$|pressure$|effective|limit_in_bytes$|max$/.test(name)) continue;
        const file = cgroupFile(`${directory}/${name}`);
        assert.equal(lines(file.read()), lines(tryReadFile(file.path)), file.path);
        file.close();
      }
    }
  });

  test("quota and cpuset", () => {
    assert.equal(container.quota().cpus, 0.5);
    assert.deepEqual(container.cpuset(), [0]);
  });

  test("processes, and the end of a cgroup", async () => {
    assert.deepEqual(container.processes(), [worker.pid]);
    assert.ok(container.alive());
    worker.stdin?.end();
    await once(worker, "exit");
    for (const top of tops) await removeGroup(`${top}/inner`);
    assert.equal(container.alive(), false);
    assert.equal(container.memory(), undefined);
    assert.equal(container.cpuTimes(), undefined);
    assert.equal(container.cpuset(), undefined);
    assert.deepEqual(container.processes(), []);
    // Held descriptors are of the old cgroup: a new one of the same name is another.
    for (const top of tops) mkdirSync(`${top}/inner`);
    assert.equal(container.alive(), false);
  });
});

/** Groups of tests that were killed. */
async function removeLeftovers(mountPoint: string): Promise<void> {
  for (const name of readdirSync(mountPoint).filter((each) => each.startsWith(PREFIX))) {
    if (existsSync(`/proc/${name.slice(PREFIX.length)}`)) continue;
    for (const directory of [`${name}/inner`, name])
      await removeGroup(`${mountPoint}/${directory}`);
  }
}

/** A group with limits, and one without in it. */
function makeGroups(mountPoint: string): void {
  const top = `${mountPoint}/${NAME}`;
  const names = (directory: string): string[] => readdirSync(directory);
  if (names(mountPoint).includes("cgroup.subtree_control")) enableControllers(mountPoint);
  mkdirSync(top);
  const set = (name: string, value: string): void => {
    if (names(top).includes(name)) writeFileSync(`${top}/${name}`, value);
  };
  set("cpuset.cpus", "0");
  set("cpuset.mems", "0");
  set("cpu.max", "50000 100000");
  set("cpu.cfs_quota_us", "50000");
  if (names(top).includes("cgroup.subtree_control")) enableControllers(top);
  mkdirSync(`${top}/inner`);
  for (const name of ["cpuset.cpus", "cpuset.mems"]) {
    if (names(top).includes("cgroup.clone_children") && names(top).includes(name)) {
      writeFileSync(`${top}/inner/${name}`, "0");
    }
  }
}

function enableControllers(directory: string): void {
  const available = readFile(`${directory}/cgroup.controllers`).trim().split(" ");
  for (const name of ["memory", "cpu", "cpuset", "pids", "io"]) {
    if (available.includes(name)) writeFileSync(`${directory}/cgroup.subtree_control`, `+${name}`);
  }
}

/** A cgroup is busy for a moment after its last process has ended. */
async function removeGroup(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      return rmdirSync(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code !== "EBUSY") throw error;
      await sleep(20);
    }
  }
}

/** Bytes of the usage that memory.stat does not have yet. */
function unexplained({ usageBytes, stat }: MemoryReading): number {
  return usageBytes - stat.anon - stat.file - stat.kernel - stat.sock;
}

/** The kernel's memory counters may lag by two seconds. */
async function settled<T>(read: () => T, isReached: (value: T) => boolean): Promise<T> {
  let value = read();
  for (let attempt = 0; attempt < 30 && !isReached(value); attempt++) {
    await sleep(100);
    value = read();
  }
  return value;
}
