/**
 * Three minutes of real load: k threads that never rest, and the load average of their container on
 * the curve k (1 - e^(-t/60)) within 0.1. Runnable is runnable, however busy the machine is.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { numbersOf } from "../support/parse.ts";
import { Loads, ownFile, whyNoLoads } from "./ground.ts";

const SECONDS = 180;
/** Two containers at once; quotas keep them from taking the machine. */
const THREADS = [1, 4];

void describe("load average over three minutes", { skip: whyNoMounts() || whyNoLoads() }, () => {
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

  void test("k runnable threads", async () => {
    const containers = await Promise.all(
      THREADS.map(async () => await lab.container({ limits: { cpuQuotaUs: 20_000 } })),
    );
    const started: number[] = [];
    for (const [index, container] of containers.entries()) {
      ownFile(lab.server.mountpoint, container, "proc/loadavg");
      const load = await loads.start(container, "spin", String(THREADS[index]));
      started.push(performance.now());
      await load.begin();
    }
    for (let round = 0; round < SECONDS / 10; round++) {
      await sleep(10_000);
      for (const [index, container] of containers.entries()) {
        const k = THREADS[index] ?? 0;
        const shown = numbersOf(ownFile(lab.server.mountpoint, container, "proc/loadavg"));
        const now = (performance.now() - (started[index] ?? 0)) / 1000;
        // A sample is up to five seconds old, and counts for the five before it.
        for (const [mean, column] of [
          [60, 0],
          [300, 1],
          [900, 2],
        ] as const) {
          // prettier-ignore
          const curve = (seconds: number): number => k * (1 - Math.exp(-Math.max(0, seconds) / mean));
          const value = shown[column] ?? Number.NaN;
          assert.ok(
            value >= curve(now - 7.5) - 0.1 && value <= curve(now + 5) + 0.1,
            `${k} threads for ${now.toFixed(1)} s: ${value} over ${mean} s, not ${curve(now)}`,
          );
        }
      }
    }
    const [first = 0] = numbersOf(ownFile(lab.server.mountpoint, containers[1] as never, "proc/loadavg")); // prettier-ignore
    assert.ok(Math.abs(first - 4 * (1 - Math.exp(-3))) < 0.25, `${first} after three minutes`);
  });
});
