/** Memory, swap and disks of real containers: a known amount moves the right fields, and no others. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";
import { tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import type { Container } from "../support/container.ts";
import { countV1, Disk, whyNoDisk, whyNoIo } from "./disk.ts";
import { Loads, ownFile, swappedKib, usedKib, whyNoLoads } from "./ground.ts";

const MIB = 1 << 20;
const X_MIB = 64;

function whyNoSwap(): string | false {
  const total = keyedNumbers(readFileSync("/proc/meminfo", "utf8")).get("SwapTotal") ?? 0;
  return total >= 128 * 1024 ? false : "needs 128 MiB of swap, which this machine has not";
}

void describe("memory", { skip: whyNoMounts() || whyNoLoads() }, () => {
  let lab: Lab;
  let loads: Loads;
  before(async () => {
    lab = await Lab.open();
    loads = new Loads();
  });
  after(async () => {
    loads?.close();
    await lab?.close();
  });

  const meminfo = (container: Container): Map<string, number> =>
    keyedNumbers(ownFile(lab.server.mountpoint, container, "proc/meminfo"));

  /** What there is before the load: the kernel sums up the counters of memory.stat every two seconds. */
  const settled = async (container: Container): Promise<Map<string, number>> => {
    await sleep(2500);
    return meminfo(container);
  };

  /**
   * Waits until each field has moved by so many MiB, within 1% of the load.
   */
  const movedBy = async (
    container: Container,
    first: Map<string, number>,
    fields: Readonly<Record<string, number>>,
  ): Promise<void> => {
    const wrong = (): string[] => {
      const now = meminfo(container);
      return Object.entries(fields).flatMap(([field, mib]) => {
        const moved = (now.get(field) ?? 0) - (first.get(field) ?? 0);
        const off = Math.abs(moved - mib * 1024);
        return off <= X_MIB * 1024 * 0.01 ? [] : [`${field} moved by ${moved} kB, not ${mib} MiB`];
      });
    };
    await waitFor("fields move", () => wrong().length === 0, 8000, 100).catch(() => undefined);
    assert.deepEqual(wrong(), []);
  };

  void test("memory that is allocated and touched", async () => {
    const container = await lab.container({ limits: { memoryBytes: 256 * MIB } });
    const load = await loads.start(container, "anon", String(X_MIB));
    const first = await settled(container);
    assert.equal(first.get("MemTotal"), 256 * 1024);
    await load.begin();
    await movedBy(container, first, {
      MemFree: -X_MIB,
      MemAvailable: -X_MIB,
      AnonPages: X_MIB,
      Cached: 0,
      Shmem: 0,
      MemTotal: 0,
    });
    const now = meminfo(container);
    assert.ok(Math.abs(256 * 1024 - usedKib(container) - (now.get("MemFree") ?? 0)) < 1024);
    await load.stop();
    await movedBy(container, first, { AnonPages: 0, Cached: 0 });
  });

  void test("memory that is shared counts as cache and as shared, and cannot be reclaimed", async () => {
    const container = await lab.container({ limits: { memoryBytes: 256 * MIB } });
    const load = await loads.start(container, "shared", String(X_MIB));
    const first = await settled(container);
    await load.begin();
    await movedBy(container, first, {
      MemFree: -X_MIB,
      MemAvailable: -X_MIB,
      Cached: X_MIB,
      Shmem: X_MIB,
      AnonPages: 0,
    });
    await load.stop();
  });

  void test("a file that is read takes free memory, and none that is available", async () => {
    const container = await lab.container({ limits: { memoryBytes: 256 * MIB } });
    const path = join(loads.directory, "file");
    const load = await loads.start(container, "file", path, String(X_MIB));
    const first = await settled(container);
    const before = usedKib(container);
    await load.begin();
    await movedBy(container, first, {
      Cached: X_MIB,
      Dirty: 0,
      AnonPages: 0,
      Shmem: 0,
    });
    const available = (meminfo(container).get("MemAvailable") ?? 0) - (first.get("MemAvailable") ?? 0); // prettier-ignore
    // The kernel's own memory for the file (tree of pages, extents) is used up as well.
    const free = (meminfo(container).get("MemFree") ?? 0) - (first.get("MemFree") ?? 0);
    const used = usedKib(container) - before;
    assert.ok(Math.abs(free + used) < X_MIB * 10.24, `MemFree by ${free}, usage by ${used} kB`);
    assert.ok(available <= 0 && available > -4096, `MemAvailable moved by ${available} kB`);
    await load.stop();
  });

  void test("memory beyond the limit is swapped", { skip: whyNoSwap() }, async () => {
    const limits = { memoryBytes: 64 * MIB, swapBytes: 96 * MIB };
    // The limits of a level above are those of the container.
    const container = await lab.container({ limits, depth: 3, limitLevel: 1 });
    const load = await loads.start(container, "anon", "96");
    assert.equal(meminfo(container).get("SwapTotal"), 96 * 1024);
    await load.begin();
    const used = (): number => {
      const fields = meminfo(container);
      return (fields.get("SwapTotal") ?? 0) - (fields.get("SwapFree") ?? 0);
    };
    const truth = swappedKib(container) ?? Number.NaN;
    assert.ok(truth > 24 * 1024, `${truth} kB are swapped`);
    assert.ok(Math.abs(used() - truth) < truth * 0.01 + 256, `${used()} kB, the cgroup ${truth}`);
    const [, row = ""] = ownFile(lab.server.mountpoint, container, "proc/swaps").split("\n");
    const [size, swapped] = row.split(/\s+/).slice(2).map(Number);
    assert.equal(size, 96 * 1024);
    assert.ok(Math.abs((swapped ?? Number.NaN) - truth) < truth * 0.01 + 256, row);
    // What a process inside makes of it.
    const [, , line = ""] = container.exec(["free", "-k"]).split("\n");
    assert.match(line, new RegExp(`^Swap: +${96 * 1024} `));
    const fields = meminfo(container);
    const get = (name: string): number => fields.get(name) ?? Number.NaN;
    assert.ok(get("SwapFree") <= get("SwapTotal") && get("SwapCached") <= get("SwapTotal"));
    assert.ok(get("MemFree") <= get("MemAvailable") && get("MemAvailable") <= get("MemTotal"));
    const stat = keyedNumbers(readFileSync(container.cgroups.file("memory.stat") ?? "", "utf8"));
    for (const [field, line] of [
      ["Zswap", "zswap"],
      ["Zswapped", "zswapped"],
    ] as const) {
      const kib = (stat.get(line) ?? 0) / 1024;
      assert.ok(Math.abs(get(field) - kib) < kib * 0.01 + 256, `${field} ${get(field)}, ${kib} kB`);
    }
    await load.stop();
    await waitFor("what was swapped is given back", () => used() < 4096, 10_000, 100);
  });

  void test("with -u no swap is shown, used or not", { skip: whyNoSwap() }, async () => {
    const limits = { memoryBytes: 64 * MIB, swapBytes: 96 * MIB };
    const other = await Lab.open({ args: ["-u"] });
    try {
      const container = await other.container({ limits });
      const load = await loads.start(container, "anon", "80");
      await load.begin();
      assert.ok((swappedKib(container) ?? 0) > 8 * 1024);
      const fields = keyedNumbers(ownFile(other.server.mountpoint, container, "proc/meminfo"));
      for (const name of ["SwapTotal", "SwapFree", "SwapCached"]) assert.equal(fields.get(name), 0);
      const swaps = ownFile(other.server.mountpoint, container, "proc/swaps");
      assert.equal(swaps.trim().split("\n").length, 1, swaps);
      await load.stop();
    } finally {
      await other.close();
    }
  });
});

void describe("disks", { skip: whyNoMounts() || whyNoLoads() || whyNoDisk() || whyNoIo() }, () => {
  let lab: Lab;
  let loads: Loads;
  let disk: Disk;
  before(async () => {
    lab = await Lab.open();
    loads = new Loads();
    disk = new Disk(loads.directory, 64);
  });
  after(async () => {
    disk?.detach();
    loads?.close();
    await lab?.close();
  });

  void test("sectors written and read are exact, on the disk that was used", async () => {
    const container = await lab.container();
    const other = await lab.container();
    countV1(container, disk);
    const name = disk.device.slice("/dev/".length);
    const rows = (of: Container): string[] =>
      ownFile(lab.server.mountpoint, of, "proc/diskstats").split("\n").filter(Boolean);
    assert.deepEqual(rows(container).filter((row) => row.includes(` ${name} `)), []); // prettier-ignore
    const write = await loads.start(container, "write", disk.device, "24");
    await write.begin();
    await write.stop();
    const read = await loads.start(container, "read", disk.device, "8");
    await read.begin();
    await read.stop();
    const row = rows(container).find((each) => each.includes(` ${name} `)) ?? "";
    const [, , , reads = 0, , sectorsRead = 0, , writes = 0, , sectorsWritten = 0] = row.trim().split(/\s+/).map(Number); // prettier-ignore
    assert.equal(sectorsWritten, 24 * 2048, row);
    assert.equal(sectorsRead, 8 * 2048, row);
    assert.ok(reads >= 1 && writes >= 1, row);
    const hostRow = readFileSync("/proc/diskstats", "utf8").split("\n")[0] ?? "";
    assert.equal(row.trim().split(/\s+/).length, hostRow.trim().split(/\s+/).length);
    const partitions = ownFile(lab.server.mountpoint, container, "proc/partitions");
    assert.match(partitions, new RegExp(`^ +\\d+ +\\d+ +${64 * 1024} ${name}$`, "m"));
    assert.deepEqual(rows(other).filter((each) => each.includes(` ${name} `)), []); // prettier-ignore
    const vmstat = keyedNumbers(ownFile(lab.server.mountpoint, container, "proc/vmstat"));
    assert.ok((vmstat.get("pgpgout") ?? 0) >= 24 * 1024);
    // iostat asks sysfs, which is the host's; vmstat asks this file.
    const { stdout } = tryRun(container.command(["vmstat", "-d"]));
    assert.match(stdout, new RegExp(`^${name} +\\d+ +\\d+ +${8 * 2048} +\\d+ +\\d+ +\\d+ +${24 * 2048} `, "m"), stdout); // prettier-ignore
  });
});
