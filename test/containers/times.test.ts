/** Times and load: the container's own, from its start, never the host's and never backwards. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { ticksOf, usedTicks } from "../fidelity/ground.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { numbersOf, statRows } from "../support/parse.ts";
import { patient } from "../support/wait.ts";

/** A tick is cut off in each of three columns of each CPU's row. */
const SLACK_TICKS = 3 * cpus().length;

/** Runs a shell loop for `seconds` of CPU time. */
function burn(container: Container, seconds: number): void {
  // ulimit counts CPU seconds; SIGXCPU ends the loop.
  container.tryExec(["sh", "-c", `ulimit -t ${seconds}; while :; do :; done`]);
}

void describe("times", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  void test("uptime is the container's age and goes on", async () => {
    const container = await lab.container();
    await sleep(1100);
    const [first = Number.NaN, idle = Number.NaN] = numbersOf(container.read("/proc/uptime"));
    assert.ok(first >= 1 && first < 20, `uptime is ${first}`);
    assert.ok(idle <= first * cpus().length + 0.1, `idle ${idle} of ${first} s`);
    assert.ok(idle >= 0.5, `idle is ${idle}`);
    await sleep(300);
    const [second = Number.NaN] = numbersOf(container.read("/proc/uptime"));
    assert.ok(second > first + 0.25 && second < first + 20);
  });

  void test("CPU time is what the container used, and its idle is what is left", async () => {
    const busy = await lab.container();
    const idle = await lab.container();
    burn(busy, 1);
    // Programs that enter a container use its time, too: how much is the kernel's to say.
    const read = (container: Container): { busy: number; idle: number } => {
      const before = usedTicks(container);
      const { busy, idle } = ticksOf(container.read("/proc/stat"));
      const after = usedTicks(container);
      assert.ok(
        busy >= before - SLACK_TICKS && busy <= after + 1,
        `${busy} ticks, the cgroup used ${before} to ${after}`,
      );
      return { busy, idle };
    };
    const ticks = read(busy);
    assert.ok(ticks.busy >= 80, `${ticks.busy} ticks for one second`);
    const others = read(idle).busy;
    assert.ok(others <= ticks.busy - 80, `${others} ticks of an idle container`);
    const [uptime = 0] = numbersOf(busy.read("/proc/uptime"));
    const most = uptime * 100 * cpus().length;
    assert.ok(ticks.idle + ticks.busy <= most + 50, `${ticks.idle} idle ticks in ${uptime} s`);
  });

  void test("no time goes backwards, and the rows of CPUs sum up to the first", async () => {
    const container = await lab.container();
    let last: readonly number[] = [];
    for (let round = 0; round < 20; round++) {
      const rows = statRows(container.read("/proc/stat"));
      const total = rows.get("cpu") ?? [];
      const sum = total.map((_, column) =>
        cpus().reduce((ticks, __, cpu) => ticks + (rows.get(`cpu${cpu}`)?.[column] ?? 0), 0),
      );
      assert.deepEqual(sum, total);
      for (const [column, ticks] of total.entries()) assert.ok(ticks >= (last[column] ?? 0));
      last = total;
    }
  });

  void test("for a reader that never stops no clock goes back, whichever thread answers it", async () => {
    const container = await lab.container();
    const program = `
      const { readFileSync } = require("node:fs");
      const seen = {};
      const grow = (name, value) => {
        if (value < seen[name]) console.log(name + " fell from " + seen[name] + " to " + value);
        seen[name] = value;
      };
      const end = Date.now() + 1500;
      while (Date.now() < end) {
        const [uptime, idle] = readFileSync("/proc/uptime", "latin1").split(" ").map(Number);
        grow("uptime", uptime);
        grow("idle", idle);
        const [, ...cpu] = readFileSync("/proc/stat", "latin1").split("\\n")[0].split(/ +/);
        grow("ticks", cpu.reduce((sum, ticks) => sum + Number(ticks), 0));
      }`;
    const said = container.exec([process.execPath, "-e", program]);
    assert.equal(said.split("\n").slice(0, 3).join("\n"), "");
  });

  void test("the load average is of the container's own threads", async () => {
    const busy = await lab.container();
    const idle = await lab.container();
    const load = (container: Container): number[] => numbersOf(container.read("/proc/loadavg"));
    load(busy);
    load(idle);
    const worker = busy.spawn(["sh", "-c", "while :; do :; done"]);
    try {
      const deadline = Date.now() + patient(20_000);
      while ((load(busy)[0] ?? 0) === 0 && Date.now() < deadline) await sleep(250);
      assert.ok((load(busy)[0] ?? 0) > 0, "a busy container has no load");
    } finally {
      worker.kill("SIGKILL");
    }
    assert.deepEqual(load(idle).slice(0, 3), [0, 0, 0]);
    const [, , , running = 0, threads = 0] = load(idle);
    assert.ok(running >= 1 || running === 0, `${running} running`);
    assert.ok(threads >= 1 && threads < 20, `${threads} threads`);
  });

  void test("boot time agrees with the kernel's, for start times in ps are told from it", async () => {
    const container = await lab.container();
    const own = statRows(container.read("/proc/stat")).get("btime")?.[0] ?? 0;
    const host = statRows(readFileSync("/proc/stat", "utf8")).get("btime")?.[0] ?? 0;
    assert.ok(Math.abs(own - host) <= 1, `${own} beside ${host}`);
  });
});
