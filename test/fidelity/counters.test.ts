/**
 * Clocks and counters that are watched by several readers at different rates, while quota and cpuset
 * change and servers are killed and replaced: none goes backwards for anybody, and afterwards they
 * show what the cgroup used.
 */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { Loads, ownFile, ticksOf, usedTicks, whyNoLoads } from "./ground.ts";

const lastCpu = cpus().length - 1;
const all = `0-${lastCpu}`;

/** Never resting, and every 2, 30 and 300 milliseconds. */
const PERIODS_US = [0, 2000, 30_000, 300_000];

void describe("counters that are watched", { skip: whyNoMounts() || whyNoLoads() }, () => {
  let loads: Loads;
  before(() => (loads = new Loads()));
  after(() => loads?.close());

  /** Changes that a container may go through, one after the other. */
  const disturb = async (lab: Lab, container: Container): Promise<void> => {
    const kill = async (): Promise<void> => {
      const [, server] = lab.server.pids().toSorted((a, b) => a - b);
      if (server !== undefined) process.kill(server, "SIGKILL");
      await lab.server.answers();
    };
    // A server that has just begun may not hear of it yet.
    const upgrade = async (): Promise<void> => {
      const directory = join(lab.server.directory, "run");
      const argv = [lxcfsCommand, "upgrade", lab.server.mountpoint, "--runtime-dir", directory];
      await waitFor("the server is replaced", () => tryRun(argv).status === 0, 30_000, 200);
    };
    const steps: readonly (() => void | Promise<void>)[] = [
      () => container.cgroups.limit({ cpuset: "0" }),
      () => container.cgroups.limit({ cpuQuotaUs: 30_000 }),
      () => container.cgroups.limit({ cpuset: all }),
      kill,
      () => container.cgroups.limit({ cpuQuotaUs: 150_000 }),
      () => container.cgroups.limit({ cpuset: String(lastCpu) }),
      upgrade,
      () => container.cgroups.limit({ cpuset: all }),
      () => container.cgroups.limit({ cpuQuotaUs: 70_000 }),
      kill,
      () => container.cgroups.limit({ cpuQuotaUs: 250_000 }),
    ];
    for (const step of steps) {
      await step();
      await sleep(250);
    }
  };

  for (const policy of ["cpuset", "quota"]) {
    void test(`policy ${policy}: no reader sees one go backwards, whatever happens`, async () => {
      const lab = await Lab.open({ args: ["--cpu-policy", policy] });
      try {
        const container = await lab.container({ limits: { cpuset: all, cpuQuotaUs: 200_000 } });
        const spin = await loads.start(container, "spin", "1");
        await spin.begin();
        const watch = await loads.watch(container, "/proc", PERIODS_US);
        await disturb(lab, container);
        await watch.finish();
        const [, reads] = /^reads (\d+)$/m.exec(watch.output) ?? [];
        assert.equal(watch.output.replace(/reads \d+/, "reads"), "ready\nreads\ndone\n");
        assert.ok(Number(reads) >= 50, `${reads} reads`);
        const [least, { busy }, most] = [
          usedTicks(container),
          ticksOf(ownFile(lab.server.mountpoint, container, "proc/stat")),
          usedTicks(container),
        ];
        // A tick is cut off in each of three columns of each row that there is or was.
        const slack = 3 * cpus().length * 3;
        assert.ok(busy >= least * 0.98 - slack && busy <= most * 1.02 + 1, `${busy} ticks, the cgroup ${least} to ${most}`); // prettier-ignore
        await spin.stop();
      } finally {
        await lab.close();
      }
    });
  }
});
