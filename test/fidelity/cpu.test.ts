/**
 * CPU time, load and uptime of real containers under known loads, against what the kernel accounts
 * to their cgroups. The machine may be busy: no test expects a load to get the time it asks for.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { numbersOf, statRows } from "../support/parse.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import type { Container } from "../support/container.ts";
import { hostUptime, Loads, ownFile, startSeconds, ticksOf, usedTicks, whyNoLoads } from "./ground.ts"; // prettier-ignore

const hostCpus = cpus().length;
/** How long a load runs between two looks. */
const LOAD_MS = 10_000;

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

  for (const [quotaUs, threads, policy, count] of [
    [50_000, 2, "cpuset", hostCpus],
    [undefined, 1, "cpuset", hostCpus],
    [150_000, 3, "cpuset", hostCpus],
    [50_000, 2, "quota", 1],
  ] as const) {
    const quota = quotaUs === undefined ? "no quota" : `a quota of ${quotaUs / 1000}%`;
    const name = `${threads} busy loops under ${quota}, CPUs by ${policy}`;
    void test(`${name}: busy is what the cgroup used, busy and idle are the time that passed`, async () => {
      const container = await lab.container(
        quotaUs === undefined ? {} : { limits: { cpuQuotaUs: quotaUs } },
      );
      run([lxcfsCommand, "cpu-policy", String(container.initPid), policy]);
      const load = await loads.start(container, "spin", String(threads));
      const first = lookAt(container);
      await load.begin();
      await sleep(LOAD_MS);
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

  void test("uptime goes on when the init has ended, from its start", async () => {
    const container = await lab.container();
    const started = startSeconds(container.initPid);
    const read = (): number => numbersOf(file(container, "proc/uptime"))[0] ?? Number.NaN;
    const before = read();
    process.kill(container.initPid, "SIGKILL");
    await waitFor("it has ended", () => !existsSync(`/proc/${container.initPid}`));
    const least = hostUptime();
    const after = read();
    assert.ok(after >= before && after >= least - started - 0.02, `${before} s, then ${after} s`);
    assert.ok(after <= hostUptime() - started + 0.02, `${after} s`);
  });

  void test("uptime goes on when the first process of several in a shared pid namespace has ended", async () => {
    const container = await lab.container({ pidNamespaceOf: process.pid });
    const started = startSeconds(container.initPid);
    const read = (): number => numbersOf(file(container, "proc/uptime"))[0] ?? Number.NaN;
    await sleep(1100);
    const before = read();
    const load = await loads.start(container, "spin", "1");
    process.kill(container.initPid, "SIGKILL");
    await waitFor("it has ended", () => !existsSync(`/proc/${container.initPid}`));
    const least = hostUptime();
    const after = read();
    assert.ok(after >= before && after >= least - started - 0.02, `${before} s, then ${after} s`);
    await load.stop();
  });

  void test("a 32-bit caller sees the same CPUs, and is not refused, whoever it is", async () => {
    const container = await lab.container();
    const native = container.read("/proc/cpuinfo").replaceAll(/^cpu MHz.*$/gm, "");
    for (const prefix of [[], ["setpriv", "--reuid=65534", "--clear-groups"]]) {
      const text = container.exec([...prefix, "setarch", "linux32", "cat", "/proc/cpuinfo"]);
      // x86 shows both kinds of processes the same text.
      assert.equal(text.replaceAll(/^cpu MHz.*$/gm, ""), native);
    }
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
    const now = (): number[] | undefined => statRows(file(container, "proc/stat")).get("procs_running"); // prettier-ignore
    // A count is given again for a second, or for a hundred times as long as it took.
    await waitFor("they are not counted any more", () => now()?.[0] === 1, 10_000, 100);
  });

  void test("threads that wait and cannot be interrupted are counted apart, and are load", async () => {
    const container = await lab.container();
    file(container, "proc/loadavg");
    const load = await loads.start(container, "block", "3");
    await load.begin();
    const counted = (): number | undefined => statRows(file(container, "proc/stat")).get("procs_blocked")?.[0]; // prettier-ignore
    await waitFor("three are counted", () => counted() === 3, 10_000, 100);
    const [load1 = 0] = numbersOf(file(container, "proc/loadavg"));
    const averages = (): number => numbersOf(file(container, "proc/loadavg"))[0] ?? 0;
    await waitFor("they raise the load average", () => averages() > load1 + 0.2, 15_000, 250);
    await load.stop();
    await waitFor("none is counted any more", () => counted() === 0, 10_000, 100);
  });

  void test("processes counts the container's own forks, and btime is the kernel's", async () => {
    const container = await lab.container();
    const processes = (): number => statRows(file(container, "proc/stat")).get("processes")?.[0] ?? 0; // prettier-ignore
    await sleep(1100);
    const before = processes();
    assert.ok(before >= 1 && before < 100, `${before} forks in a new container`);
    const load = await loads.start(container, "block", "20");
    await load.begin();
    // Its own pid, 20 processes and a child of each.
    await waitFor("they are counted", () => processes() >= before + 40, 10_000, 100);
    assert.ok(processes() < before + 100);
    const host = statRows(readFileSync("/proc/stat", "utf8"));
    const own = statRows(file(container, "proc/stat"));
    const [btime = 0] = own.get("btime") ?? [];
    assert.ok(Math.abs(btime - (host.get("btime")?.[0] ?? 0)) <= 1);
    await load.stop();
  });

  void test("what it reads itself is what the host reads of it", async () => {
    const container = await lab.container({ limits: { memoryBytes: 128 << 20 } });
    const line = (text: string): string => text.split("\n")[0] ?? "";
    assert.equal(line(file(container, "proc/meminfo")), line(container.read("/proc/meminfo")));
    assert.notEqual(line(file(container, "proc/meminfo")), line(readFileSync("/proc/meminfo", "utf8"))); // prettier-ignore
  });
});
