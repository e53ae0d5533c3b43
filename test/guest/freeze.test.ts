/** A container that is frozen while it reads holds up nobody, and reads on when it is thawed. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, test, describe } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../support/container.ts";
import type { Server } from "../support/server.ts";
import { patient, waitFor } from "../support/wait.ts";
import { START_MS, startServer } from "./guest.ts";
import { Reader } from "./reader.ts";
import { release } from "../support/lab.ts";

describe("a frozen container", () => {
  let server: Server;
  let frozen: Container;
  let other: Container;

  before(async () => {
    server = await startServer();
    const { mountpoint } = server;
    frozen = await Container.start({ mountpoint, limits: { memoryBytes: 64 << 20 } });
    other = await Container.start({ mountpoint, limits: { memoryBytes: 96 << 20 } });
  });
  after(async () => {
    frozen?.stop();
    other?.stop();
    await release(server);
  });

  /** Freezes or thaws a container's cgroup, as runtimes' pause does, and waits until the kernel says so. */
  async function setFrozen(container: Container, on: boolean): Promise<void> {
    const v1 = container.cgroups.file("freezer.state");
    const v2 = container.cgroups.file("cgroup.freeze");
    if (v1 !== undefined) {
      const state = on ? "FROZEN" : "THAWED";
      writeFileSync(v1, state);
      await waitFor(`the cgroup is ${state}`, () => readFileSync(v1, "utf8").trim() === state);
      return;
    }
    assert.ok(v2 !== undefined && existsSync(v2), "no freezer");
    writeFileSync(v2, on ? "1" : "0");
    const events = v2.replace(/freeze$/, "events");
    const state = `frozen ${on ? 1 : 0}`;
    await waitFor(`the cgroup is ${state}`, () => readFileSync(events, "utf8").includes(state));
  }

  test("freezing a reading container stops neither others nor, afterwards, itself", async () => {
    const reader = new Reader(frozen, "/proc/meminfo", "MemTotal:          65536 kB");
    await waitFor("the reader has read", () => reader.reads() > 5, START_MS);
    for (let round = 0; round < 3; round++) {
      await setFrozen(frozen, true);
      await sleep(300); // what it said before it froze is still on its way
      const before = reader.reads();
      for (const file of ["/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg"]) {
        const startedMs = performance.now();
        assert.notEqual(other.read(file), "");
        const tookMs = performance.now() - startedMs;
        assert.ok(tookMs < patient(3000), `another container waited ${tookMs} ms for ${file}`);
      }
      await sleep(500);
      assert.equal(reader.reads(), before, "the frozen container goes on reading");
      await setFrozen(frozen, false);
      await waitFor("the thawed container reads on", () => reader.reads() > before + 5, START_MS);
    }
    assert.deepEqual(await reader.stop(), []);
  });
});
