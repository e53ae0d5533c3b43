/** What a server has learned outlives it: load averages, and the rows of single CPUs. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { Container } from "../support/container.ts";
import { whyNoMounts } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { statusOf, statusWhen } from "./control.ts";

const TICKS_PER_SECOND = 100;

/** Load averages over 1, 5 and 15 minutes. */
function loads(container: Container): number[] {
  return container.read("/proc/loadavg").split(" ").slice(0, 3).map(Number);
}

/** Busy and idle ticks of each CPU's row. */
function rows(container: Container): number[][] {
  const text = container.read("/proc/stat");
  return [...text.matchAll(/^cpu\d+ (.*)$/gm)].map(([, row = ""]) => {
    const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0] = row.split(" ").map(Number);
    return [user + nice + system, idle + iowait];
  });
}

void test(
  "load averages and CPU rows go on across an upgrade and the death of a server",
  { skip: whyNoMounts() },
  async () => {
    const server = await Server.start({ args: ["--enable-loadavg"] });
    const container = await Container.start({
      mountpoint: server.mountpoint,
      // Half a CPU: its rows are computed, not the kernel's own.
      limits: { cpuQuotaUs: 50_000, cpuPeriodUs: 100_000 },
    });
    try {
      const spinning = container.spawn(["sh", "-c", "while :; do :; done"]);
      const grown = (): boolean => (loads(container)[0] ?? 0) >= 0.15;
      await waitFor("a load average of 0.15", grown, 60_000, 500);
      const changes = [
        async () => {
          const argv = [lxcfsCommand, "upgrade", server.mountpoint];
          run([...argv, "--runtime-dir", join(server.directory, "run")]);
        },
        async () => {
          const { serverPid } = statusOf(server);
          process.kill(serverPid, "SIGKILL");
          await statusWhen(server, "another server", (status) => status.serverPid !== serverPid);
        },
      ];
      for (const change of changes) {
        const [one = 0, five = 0, fifteen = 0] = loads(container);
        const before = rows(container);
        const beforeMs = performance.now();
        await change();
        const after = rows(container);
        const passedTicks = ((performance.now() - beforeMs) / 1000) * TICKS_PER_SECOND;
        // It spins on, so that no average falls: one that began anew would be 0.00.
        const now = loads(container);
        for (const [at, was] of [one, five, fifteen].entries()) {
          assert.ok(
            (now[at] ?? 0) >= was,
            `load average ${now.join(" ")} after ${one} ${five} ${fifteen}`,
          );
        }
        assert.equal(after.length, before.length);
        for (const [cpu, [busy = 0, idle = 0]] of after.entries()) {
          const [wasBusy = 0, wasIdle = 0] = before[cpu] ?? [];
          assert.ok(
            busy >= wasBusy && idle >= wasIdle,
            `cpu${cpu}: ${busy} ${idle} after ${wasBusy} ${wasIdle}`,
          );
          const more = busy + idle - wasBusy - wasIdle;
          assert.ok(
            more <= passedTicks + 2,
            `cpu${cpu} counted ${more} ticks in ${passedTicks.toFixed(0)}`,
          );
        }
        assert.ok(after.length >= 1 && after.length <= availableParallelism());
        await sleep(100);
      }
      spinning.kill("SIGKILL");
    } finally {
      container.stop();
      server.kill();
    }
  },
);
