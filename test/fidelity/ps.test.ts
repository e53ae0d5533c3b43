/**
 * What ps makes of the container's files: as they are, with --uptime host, and in a time namespace.
 * The table is in docs/fidelity.md.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { numbersOf, statRows } from "../support/parse.ts";
import { installed } from "../support/run.ts";
import { hostUptime, Loads, startSeconds, usedTicks, whyNoLoads } from "./ground.ts";

const skip = whyNoMounts() || whyNoLoads() || (installed("ps") ? false : "ps is not installed");

void describe("ps", { skip }, () => {
  let loads: Loads;
  before(() => (loads = new Loads()));
  after(() => loads?.close());

  /** %CPU and age that ps finds of a busy loop, with what the cgroup used and how old it is. */
  const askPs = async (
    container: Container,
  ): Promise<{ percent: number; seconds: number; usedPercent: number; age: number }> => {
    const load = await loads.start(container, "spin", "1");
    const used = usedTicks(container);
    const begun = hostUptime();
    await load.begin();
    await sleep(3000);
    const rows = container.exec(["ps", "-eo", "pcpu,etimes,comm"]).trim().split("\n");
    const row = rows.map((each) => each.trim().split(/\s+/)).find(([, , name]) => name === "load");
    const age = hostUptime() - begun;
    const usedPercent = (usedTicks(container) - used) / age;
    await load.stop();
    const [percent = Number.NaN, seconds = Number.NaN] = row?.slice(0, 2).map(Number) ?? [];
    return { percent, seconds, usedPercent, age };
  };

  const assertSane = async (container: Container): Promise<void> => {
    const { percent, seconds, usedPercent, age } = await askPs(container);
    // The load is a moment older than its beginning.
    assert.ok(seconds >= Math.floor(age) - 1 && seconds <= age + 10, `${seconds} s, it is ${age} s old`); // prettier-ignore
    const share = (usedPercent * age) / Math.max(1, seconds);
    assert.ok(percent > 1 && Math.abs(percent - share) < share * 0.4 + 5, `ps: ${percent}%, the cgroup ${share}%`); // prettier-ignore
  };

  void test("in a time namespace its figures are right, and uptime is the container's", async () => {
    const lab = await Lab.open();
    try {
      const container = await lab.container({ timeNamespace: true });
      await assertSane(container);
      const [uptime = Number.NaN] = numbersOf(container.read("/proc/uptime"));
      assert.ok(uptime < 120, `${uptime} s`);
    } finally {
      await lab.close();
    }
  });

  void test("with --uptime host they are right without one, and uptime is the host's", async () => {
    const lab = await Lab.open({ args: ["--uptime", "host"] });
    try {
      const container = await lab.container();
      await assertSane(container);
      const before = hostUptime();
      const [uptime = Number.NaN] = numbersOf(container.read("/proc/uptime"));
      assert.ok(uptime >= before - 0.02 && uptime <= hostUptime() + 0.02, `${uptime}, ${before}`);
      const [btime = 0] = statRows(container.read("/proc/stat")).get("btime") ?? [];
      // When the container's init was started, by what it can read itself.
      const started = Date.now() / 1000 - hostUptime() + startSeconds(container.initPid);
      assert.ok(Math.abs(btime + startSeconds(container.initPid) - started) <= 1.5);
    } finally {
      await lab.close();
    }
  });

  void test("without either, uptime is the container's and ps finds no percentage", async () => {
    const lab = await Lab.open();
    try {
      const container = await lab.container();
      const { percent } = await askPs(container);
      // Should this ever fail, the table can be made shorter.
      assert.equal(percent, 0);
      const [uptime = Number.NaN] = numbersOf(container.read("/proc/uptime"));
      assert.ok(uptime < 120, `${uptime} s`);
    } finally {
      await lab.close();
    }
  });
});
