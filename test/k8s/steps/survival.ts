/** Readers in five pods, and what must not disturb them. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../cluster.ts";
import { APPS, MEMORY_KB, RESTRICTED, type World } from "../world.ts";
import { needsNode } from "./installation.ts";

const READERS = 5;
/** Each reader's tick, at which it reads two files. */
const TICK_MS = 20;
/** All readers together do not fall below this while they are disturbed. */
const LEAST_PER_SECOND = 100;

/** Reads all the time and counts what was not as it has to be. Runs in this project's image. */
const READER = `
const { readFileSync, renameSync, writeFileSync } = require("node:fs");
const counts = { reads: 0, wrong: 0, failed: 0, slowestMs: 0, last: "" };
const memory = /^MemTotal: +(\\d+) kB/;
const read = (file, right) => {
  const startMs = performance.now();
  try {
    const text = readFileSync(file, "latin1");
    counts.reads++;
    if (!right(text)) { counts.wrong++; counts.last = text.slice(0, 200); }
  } catch (error) { counts.failed++; counts.last = String(error); }
  counts.slowestMs = Math.max(counts.slowestMs, performance.now() - startMs);
};
let up = 0;
setInterval(() => {
  read("/proc/meminfo", (text) => memory.exec(text)?.[1] === "${MEMORY_KB}");
  read("/proc/uptime", (text) => { const was = up; up = parseFloat(text); return up >= was; });
}, ${TICK_MS});
setInterval(() => {
  writeFileSync("/tmp/counts.new", JSON.stringify(counts));
  renameSync("/tmp/counts.new", "/tmp/counts");
  counts.slowestMs = 0;
}, 1000);
`;

interface Counts {
  reads: number;
  /** Reads with content that is another machine's. */
  wrong: number;
  /** Reads that ended in an error. */
  failed: number;
  slowestMs: number;
  last: string;
}

/** What the readers have counted up to now, one after the other. */
export async function counts(world: World): Promise<Counts[]> {
  const all = Array.from({ length: READERS }, (_, at) =>
    world.see(APPS, `reader-${at}`, "cat /tmp/counts"),
  );
  return (await Promise.all(all)).map((text) => JSON.parse(text) as Counts);
}

/** Runs `disturb` while the readers read; none may have read anything wrong. */
async function undisturbed(world: World, disturb: () => Promise<unknown>, settleMs = 2000) {
  const before = await counts(world);
  const startMs = performance.now();
  await disturb();
  await sleep(settleMs);
  const after = await counts(world);
  const reads = after.reduce((sum, c, at) => sum + c.reads - (before[at]?.reads ?? 0), 0);
  const seconds = (performance.now() - startMs) / 1000;
  const perSecond = Math.round(reads / seconds);
  for (const [at, { wrong, failed, last }] of after.entries())
    assert.deepEqual({ wrong, failed }, { wrong: 0, failed: 0 }, `reader-${at}: ${last}`);
  assert.ok(perSecond >= LEAST_PER_SECOND, `${perSecond} reads/s`);
  return JSON.stringify({ reads, perSecond, seconds: Math.round(seconds) });
}

export function survival(world: World): void {
  const { cluster } = world;

  it("has readers at 100 reads/s in five pods", async () => {
    const container = world.container("app", { image: cluster.image });
    const command = ["node", "-e", READER];
    const pods = Array.from({ length: READERS }, (_, at) =>
      world.pod(`reader-${at}`, {}, { containers: [{ ...container, command }] }),
    );
    await world.create(APPS, ...pods);
    await world.ready(APPS, ...Array.from({ length: READERS }, (_, at) => `reader-${at}`));
    await eventually(async () =>
      assert.ok((await counts(world)).every(({ reads }) => reads > 100)),
    );
  });

  it("loses no read when the agent's pod is deleted", async (t) => {
    const disturb = async () => {
      await world.deleteAgentPods();
      await sleep(1000);
      await world.agentRolledOut();
    };
    t.diagnostic(await undisturbed(world, disturb));
  });

  it(
    "loses no read when the server is killed, nor the agent with it",
    { skip: needsNode(world) },
    async (t) => {
      const disturb = async () => {
        for (let round = 0; round < 3; round++) {
          await cluster.onNode("kill -9 $(pgrep -f '[l]xcfs serve' | head -1)");
          await sleep(1500);
        }
        await cluster.onNode("kill -9 $(pgrep -f '[n]ode-agent --run-dir' | head -1)");
        await sleep(3000);
        await world.agentRolledOut();
      };
      t.diagnostic(await undisturbed(world, disturb));
    },
  );

  it(
    "loses no read when the DaemonSet is updated to another version",
    { skip: cluster.node ? false : "needs images to choose from" },
    async (t) => {
      await cluster.makeImage("lxcfs-ts:e2e-next");
      assert.match((await world.plugin("status")).stdout, /upgrades +0/);
      const disturb = async () => {
        world.tag = "e2e-next";
        await world.install();
        await world.agentRolledOut();
        await eventually(async () =>
          assert.match((await world.plugin("status")).stdout, /upgrades +[1-9]/),
        );
      };
      t.diagnostic(await undisturbed(world, disturb));
    },
  );

  it(
    "heals every pod when holder and server are both killed",
    { skip: needsNode(world) },
    async () => {
      await cluster.onNode(
        "kill -9 $(pgrep -f '[h]older.sh' | head -1) $(pgrep -f '[l]xcfs serve' | head -1)",
      );
      await world.sees(APPS, "app", 128 * 1024);
      await world.sees(RESTRICTED, "app", MEMORY_KB);
      const command = "free -k; exec sleep 1000000";
      const containers = [world.container("app", { command })];
      await world.create(APPS, world.pod("after", {}, { containers }));
      await world.ready(APPS, "after");
      assert.equal(await world.total(APPS, "after"), MEMORY_KB);
    },
  );

  it(
    "starts clean after a reboot: pods wait for their files instead of finding directories",
    { skip: needsNode(world) },
    async (t) => {
      await reboot(world);
      const found = await cluster.onNode("ls -A /run/lxcfs-ts 2>&1");
      assert.match(found, /No such file/);
      await cluster.mend();
      // What the API server says of pods is from before: they are asked themselves.
      await world.sees(APPS, "app", MEMORY_KB, "app", 120);
      await world.sees(APPS, "guaranteed", 96 * 1024, "app", 60);
      await world.sees(RESTRICTED, "app", MEMORY_KB, "app", 60);
      await world.agentRolledOut();
      await eventually(async () => {
        for (const { reads, wrong, failed, last } of await counts(world)) {
          assert.ok(reads > 0);
          assert.deepEqual({ wrong, failed }, { wrong: 0, failed: 0 }, last);
        }
      });
      const events = await cluster.kubectl([
        ...["-n", APPS, "get", "events", "--field-selector", "reason=FailedMount"],
        ...["-o", 'jsonpath={range .items[*]}{.message}{"\\n"}{end}'],
      ]);
      const waited = events
        .split("\n")
        .filter((line) => line.includes("hostPath type check failed"));
      t.diagnostic(`${waited.length} mounts were waited for`);
      // That of kubelet, which goes on trying; not the runtime's, for which it would be too late.
      const failed = await cluster.kubectl([
        ...["-n", APPS, "get", "events", "--field-selector", "reason=Failed"],
        ...["-o", 'jsonpath={range .items[*]}{.message}{"\\n"}{end}'],
      ]);
      assert.doesNotMatch(failed, /not a directory|endpoint is not connected/i);
    },
  );
}

/**
 * What a reboot leaves of a node: its disk. Everything that kubelet and the runtime have started
 * ends at once, and so do they; what they had mounted is gone, `/run` is empty.
 */
async function reboot(world: World): Promise<void> {
  const { dir = "", cgroupRoot = "" } = world.cluster.node ?? {};
  await world.cluster.onNode(`
    kill -9 $(cat ${dir}/pids/kubelet ${dir}/pids/containerd)
    pkill -9 -f '[c]ontainerd-shim'
    for again in 1 2 3; do
      pids=$(find /sys/fs/cgroup/memory${cgroupRoot}/kubepods -name cgroup.procs -exec cat {} +; pgrep -f '[h]older.sh|[l]xcfs serve|[n]ode-agent')
      [ -z "$pids" ] || kill -9 $pids
      sleep 0.3
    done
    awk '$5 ~ "^/run/(lxcfs-ts|containerd|netns)/|^/var/lib/kubelet/pods/" { print $5 }' /proc/self/mountinfo |
      sort -r | while read -r at; do umount -l "$at"; done
    rm -rf /run/lxcfs-ts /run/containerd /run/cni
    find /sys/fs/cgroup/*${cgroupRoot}/kubepods -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
    rm -f ${dir}/pids/kubelet ${dir}/pids/containerd`);
}
