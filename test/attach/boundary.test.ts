/** A container that is shown its pod's machine: the cgroup right above its own. */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { after, before, describe, it } from "node:test";
import { AttachPool } from "../../src/attach/pool.ts";
import { Attacher } from "../../src/k8s/agent/attacher.ts";
import { EVERYTHING } from "../../src/k8s/agent/wanted.ts";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";

const MIB = 1024 * 1024;
const POD = { memoryBytes: 128 * MIB, cpuQuotaUs: 200_000 };
const OWN = { memoryBytes: 64 * MIB, cpuQuotaUs: 50_000 };

describe("the pod's boundary", { skip: whyNoMounts() }, () => {
  const pool = new AttachPool({ threads: 1 });
  let lab: Lab;
  let container: Container;
  let attacher: Attacher;

  before(async () => {
    lab = await Lab.open({ args: ["--cpu-policy", "quota"] });
    container = await lab.container({ depth: 2, limitLevel: 1, limits: POD });
    container.cgroups.limit(OWN);
    attacher = new Attacher(pool, lab.server.mountpoint);
  });
  after(async () => {
    await pool.close();
    await lab?.close();
  });

  const shown = () => ({
    memoryKb: Number(/^MemTotal: +(\d+)/m.exec(container.read("/proc/meminfo"))?.[1]),
    cpus: container.read("/proc/cpuinfo").match(/^processor/gm)?.length,
  });

  it("is the container's own if nothing is said", async () => {
    const { status } = await attacher.attach(container.initPid, EVERYTHING);
    assert.equal(status, "done");
    assert.equal(shown().memoryKb, 64 * 1024);
    assert.equal(shown().cpus, 1);
  });

  it("is the cgroup above it where that is asked for, in all hierarchies", async () => {
    const { status, steps } = await attacher.attach(container.initPid, EVERYTHING, {
      boundary: "pod",
    });
    assert.equal(status, "done", JSON.stringify(steps));
    assert.equal(shown().memoryKb, 128 * 1024);
    assert.equal(shown().cpus, Math.min(2, cpus().length));
    const [uptime = NaN] = container.read("/proc/uptime").split(" ").map(Number);
    assert.ok(uptime < 300, `${uptime} s`);
  });

  it("can be taken back", async () => {
    await attacher.attach(container.initPid, EVERYTHING);
    assert.equal(shown().memoryKb, 64 * 1024);
  });
});
