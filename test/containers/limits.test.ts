/** Limits, wherever in the hierarchy they are set, as containers see them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";

const MIB = 1 << 20;

void describe("limits", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  const memTotalKb = (meminfo: string): number | undefined => keyedNumbers(meminfo).get("MemTotal");

  void test("a container sees its own memory limit", async () => {
    const container = await lab.container({ limits: { memoryBytes: 128 * MIB } });
    assert.equal(memTotalKb(container.read("/proc/meminfo")), 128 * 1024);
  });

  void test("a limit of any ancestor counts, the tightest wins", async () => {
    const container = await lab.container({
      depth: 5,
      limitLevel: 2,
      limits: { memoryBytes: 96 * MIB },
    });
    container.cgroups.limit({ memoryBytes: 160 * MIB });
    assert.equal(memTotalKb(container.read("/proc/meminfo")), 96 * 1024);
  });

  void test("a limit that changes is seen as soon as the freshness bound allows", async () => {
    const container = await lab.container({ limits: { memoryBytes: 128 * MIB } });
    for (const mib of [64, 200, 72]) {
      container.cgroups.limit({ memoryBytes: mib * MIB });
      // A text may be given again for ten milliseconds (--freshness).
      await sleep(20);
      assert.equal(memTotalKb(container.read("/proc/meminfo")), mib * 1024);
    }
  });

  void test("two containers at the same time see each its own", async () => {
    const small = await lab.container({ limits: { memoryBytes: 64 * MIB } });
    const large = await lab.container({ limits: { memoryBytes: 512 * MIB } });
    for (let round = 0; round < 5; round++) {
      assert.equal(memTotalKb(small.read("/proc/meminfo")), 64 * 1024);
      assert.equal(memTotalKb(large.read("/proc/meminfo")), 512 * 1024);
    }
  });

  void test("a container without limits sees the host's memory and CPUs", async () => {
    const container = await lab.container();
    const host = memTotalKb(readFileSync("/proc/meminfo", "utf8"));
    assert.equal(memTotalKb(container.read("/proc/meminfo")), host);
    assert.equal(container.read("/proc/cpuinfo").match(/^processor/gm)?.length, cpus().length);
  });

  void test("no memory figure exceeds the container's memory, and they agree", async () => {
    const limit = 64 * 1024;
    const container = await lab.container({ limits: { memoryBytes: limit * 1024 } });
    const fields = keyedNumbers(container.read("/proc/meminfo"));
    const field = (name: string): number => fields.get(name) ?? Number.NaN;
    for (const [name, value] of fields) {
      // Swap has a limit of its own, which was not set; what may be committed counts it in.
      if (/^(Vmalloc|HugePages_|Hugepagesize|SwapTotal|SwapFree|CommitLimit)/.test(name)) continue;
      assert.ok(value <= limit, `${name} is ${value} kB of ${limit} kB`);
    }
    assert.ok(field("MemFree") <= field("MemAvailable"));
    assert.ok(field("Shmem") <= field("Cached"));
    assert.ok(field("MemFree") + field("Cached") <= limit);
    assert.equal(field("Slab"), field("SReclaimable") + field("SUnreclaim"));
  });

  void test("memory that the container uses is seen where it belongs", async () => {
    const container = await lab.container({ limits: { memoryBytes: 128 * MIB } });
    const before = keyedNumbers(container.read("/proc/meminfo"));
    // 20 MiB of tmpfs are shared memory and cache; they are charged to who writes them.
    const script = "mount -t tmpfs t /mnt; head -c 20971520 /dev/zero > /mnt/f; cat /proc/meminfo";
    const now = keyedNumbers(container.exec(["unshare", "-m", "sh", "-ec", script]));
    const grown = (name: string): number => (now.get(name) ?? 0) - (before.get(name) ?? 0);
    for (const name of ["Shmem", "Cached"]) {
      assert.ok(Math.abs(grown(name) - 20_480) < 2048, `${name} grew by ${grown(name)} kB`);
    }
    assert.ok(grown("MemFree") < -18_000, `MemFree grew by ${grown("MemFree")} kB`);
  });

  void test("swap is what the cgroup may use of the host's", async () => {
    const limits = { memoryBytes: 64 * MIB, swapBytes: 32 * MIB };
    const container = await lab.container({ limits });
    const fields = keyedNumbers(container.read("/proc/meminfo"));
    const hostKb = keyedNumbers(readFileSync("/proc/meminfo", "utf8")).get("SwapTotal") ?? 0;
    const wanted = Math.min(32 * 1024, hostKb);
    assert.equal(fields.get("SwapTotal"), wanted);
    assert.equal(fields.get("SwapFree"), wanted);
    const rows = container.read("/proc/swaps").trim().split("\n").slice(1);
    assert.equal(rows.length, wanted === 0 ? 0 : 1);
  });
});
