/**
 * CPU time, load and uptime of real containers under known loads, against what the kernel accounts
 * to their cgroups. The machine may be busy: no test expects a load to get the time it asks for.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { numbersOf, statRows } from "../support/parse.ts";
import type { Container } from "../support/container.ts";
import { hostUptime, Loads, ownFile, startSeconds, ticksOf, usedTicks, whyNoLoads } from "./ground.ts"; // prettier-ignore

const hostCpus = cpus().length;

/** A reading of the container between two of the kernel's account and of the clock. */
interface Look {
  readonly ticks: { busy: number; idle: number };
  readonly used: readonly [number, number];
  readonly seconds: readonly [number, number];
}

void describe("CPU time", { skip: whyNoMounts() || whyNoLoads() }, () => {
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

  const file = (container: Container, path: string): string =>
    ownFile(lab.server.mountpoint, container, path);

  const lookAt = (container: Container): Look => {
    const before = [usedTicks(container), performance.now() / 1000] as const;
    const ticks = ticksOf(file(container, "proc/stat"));
    const after = [usedTicks(container), performance.now() / 1000] as const;
    return { ticks, used: [before[0], after[0]], seconds: [before[1], after[1]] };
  };

  /** Ticks between two looks, within a share of what they should be and a tick for each CPU row. */
  const between = (actual: number, least: number, most: number, share: number): void => {
    const slack = 1 + hostCpus;
    assert.ok(
      actual >= least * (1 - share) - slack && actual <= most * (1 + share) + slack,
      `${actual} ticks, expected ${least} to ${most}`,
    );
  };

  for (const [quotaUs, threads, count] of [
    [50_000, 2, hostCpus],
    [undefined, 1, hostCpus],
    [150_000, 3, hostCpus],
  ] as const) {
    const name = `${threads} busy loops under ${quotaUs === undefined ? "no quota" : `a quota of ${quotaUs / 1000}%`}`; // prettier-ignore
    void test(`${name}: busy is what the cgroup used, busy and idle are the time that passed`, async () => {
      const container = await lab.container(
        quotaUs === undefined ? {} : { limits: { cpuQuotaUs: quotaUs } },
      );
      const load = await loads.start(container, "spin", String(threads));
      const first = lookAt(container);
      await load.begin();
      await sleep(5000);
      const last = lookAt(container);
      await load.stop();
      const busy = last.ticks.busy - first.ticks.busy;
      const idle = last.ticks.idle - first.ticks.idle;
      between(busy, last.used[0] - first.used[1], last.used[1] - first.used[0], 0.02);
      const least = (last.seconds[0] - first.seconds[1]) * 100 * count;
      const most = (last.seconds[1] - first.seconds[0]) * 100 * count;
      between(busy + idle, least, most, 0.01);
      assert.ok(busy > 20, `${busy} ticks busy in five seconds of busy loops`);
    });
  }

  void test("no counter goes backwards while quota and cpuset change and the server dies", async () => {
    const all = `0-${hostCpus - 1}`;
    const container = await lab.container({ limits: { cpuset: all } });
    const load = await loads.start(container, "spin", "1");
    await load.begin();
    let last: readonly number[] = [];
    let idle = 0;
    for (let round = 0; round < 60; round++) {
      if (round % 10 === 3) container.cgroups.limit({ cpuset: "0" });
      if (round % 10 === 7) container.cgroups.limit({ cpuset: all });
      if (round % 10 === 5) container.cgroups.limit({ cpuQuotaUs: 30_000 + 1000 * round });
      if (round === 30) {
        const [, server] = lab.server.pids().toSorted((a, b) => a - b);
        if (server !== undefined) process.kill(server, "SIGKILL");
      }
      const rows = statRows(file(container, "proc/stat"));
      const total = rows.get("cpu") ?? [];
      for (const [column, ticks] of total.entries()) {
        assert.ok(ticks >= (last[column] ?? 0), `column ${column}: ${last[column]}, then ${ticks}`);
      }
      const sum = total.map(
        (_, column) =>
        [...rows].reduce((ticks, [name, row]) => ticks + (/^cpu\d/.test(name) ? (row[column] ?? 0) : 0), 0), // prettier-ignore
      );
      assert.deepEqual(sum, total);
      last = total;
      const [, idleSeconds = 0] = numbersOf(file(container, "proc/uptime"));
      assert.ok(idleSeconds >= idle, `idle seconds: ${idle}, then ${idleSeconds}`);
      idle = idleSeconds;
      await sleep(20);
    }
    await load.stop();
  });

  void test("uptime is the init's age within a tick", async () => {
    const container = await lab.container();
    const started = startSeconds(container.initPid);
    for (let round = 0; round < 5; round++) {
      const before = hostUptime();
      const [uptime = Number.NaN] = numbersOf(file(container, "proc/uptime"));
      const after = hostUptime();
      assert.ok(uptime >= before - started - 0.011, `${uptime} s after ${before - started} s`);
      assert.ok(uptime <= after - started + 0.021, `${uptime} s before ${after - started} s`);
      await sleep(37);
    }
  });

  void test("uptime and ps agree in a time namespace", async () => {
    const container = await lab.container({ timeNamespace: true });
    const load = await loads.start(container, "spin", "1");
    await load.begin();
    await sleep(2500);
    const rows = container.exec(["ps", "-eo", "pcpu,etimes,comm"]).trim().split("\n").slice(1);
    const fields = rows.map((row) => row.trim().split(/\s+/)).find(([, , name]) => name === "load");
    const [percent = -1, seconds = -1] = fields?.slice(0, 2).map(Number) ?? [];
    assert.ok(seconds >= 1 && seconds < 30, `ps says it runs for ${seconds} s`);
    // What it used, of the time it has been there.
    const used = usedTicks(container) / seconds;
    assert.ok(percent > 3 && percent < used * 2 + 20, `${percent}%, the cgroup about ${used}%`);
    const [uptime = Number.NaN] = numbersOf(container.read("/proc/uptime"));
    assert.ok(uptime > 2 && uptime < 60, `${uptime} s`);
    await load.stop();
  });

  void test("threads that run are counted, with the youngest pid of the container's own", async () => {
    const container = await lab.container();
    const load = await loads.start(container, "spin", "3");
    await load.begin();
    // Counts may be given again for a second.
    await sleep(1100);
    const [, , , running = 0, threads = 0, lastPid = 0] = numbersOf(
      file(container, "proc/loadavg"),
    );
    assert.ok(running >= 4 && running <= 6, `${running} running`);
    assert.ok(threads >= 5 && threads <= 8, `${threads} threads`);
    assert.ok(lastPid > 1 && lastPid < 100, `pid ${lastPid}`);
    const rows = statRows(file(container, "proc/stat"));
    assert.deepEqual(rows.get("procs_running"), [running]);
    await load.stop();
    await sleep(1100);
    assert.deepEqual(statRows(file(container, "proc/stat")).get("procs_running"), [1]);
  });

  void test("what it reads itself is what the host reads of it", async () => {
    const container = await lab.container({ limits: { memoryBytes: 128 << 20 } });
    const line = (text: string): string => text.split("\n")[0] ?? "";
    assert.equal(line(file(container, "proc/meminfo")), line(container.read("/proc/meminfo")));
    assert.notEqual(line(file(container, "proc/meminfo")), line(readFileSync("/proc/meminfo", "utf8"))); // prettier-ignore
  });
});
