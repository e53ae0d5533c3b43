/** Dead mounts, made by killing the original LXCFS, and their replacement by those of another. */
import assert from "node:assert/strict";
import { readFileSync, readlinkSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { hostNamespaces, mountNamespaceOf } from "../../src/attach/find_mounts.ts";
import { heal, type HealReport } from "../../src/attach/heal.ts";
import { AttachPool } from "../../src/attach/pool.ts";
import type { Outcome } from "../../src/attach/types.ts";
import { mount } from "../../src/sys/native.ts";
import { cannotRunLxcfs, kill, startLxcfs, type LxcfsProcess } from "./lxcfs_process.ts";
import { enterSandbox, Scratch, TestContainer } from "./sandbox.ts";
import { isEmulated } from "../support/wait.ts";

/** In emulation one process alone takes that long to start. */
const HUNDRED_MS = isEmulated ? Infinity : 1000;

const FILES = ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime"];

/** Shell lines that bind the files, as a hook would. */
function bindAll(mountPoint: string): string {
  const files = FILES.map((file) => `mount --bind ${mountPoint}/proc/${file} /proc/${file}`);
  return [
    ...files,
    `mount --bind ${mountPoint}/sys/devices/system/cpu /sys/devices/system/cpu`,
  ].join(" && ");
}

describe("healing", { skip: cannotRunLxcfs }, () => {
  let scratch: Scratch;
  let pool: AttachPool;
  let dying: LxcfsProcess;
  let living: LxcfsProcess;
  const containers: TestContainer[] = [];

  before(async () => {
    enterSandbox();
    scratch = new Scratch();
    mount("run", "/run", "tmpfs", 0, null);
    pool = new AttachPool({ threads: 2 });
    dying = await startLxcfs(scratch, "dying");
    living = await startLxcfs(scratch, "living");
  });

  after(async () => {
    for (const container of containers) await container.stop();
    await pool.close();
    await kill(living);
    scratch.close();
  });

  /** Those of the containers here; an outcome names any process of the namespace. */
  const ownOutcomes = ({ outcomes }: HealReport): Outcome[] => {
    const own = new Set(containers.map(({ pid }) => mountNamespaceOf("/proc", pid)));
    return outcomes.filter(({ pid }) => own.has(mountNamespaceOf("/proc", pid)));
  };

  it("leaves the machine's own namespace alone, also from another one", (context) => {
    if (readFileSync("/proc/2/comm", "latin1") !== "kthreadd\n") {
      context.skip("the kernel's threads are not seen from this pid namespace");
      return;
    }
    const machine = readlinkSync("/proc/2/ns/mnt");
    assert.notEqual(machine, readlinkSync("/proc/thread-self/ns/mnt"));
    assert.ok(hostNamespaces("/proc").has(machine));
  });

  it("replaces every dead mount in every container, and nothing else", async () => {
    const script = bindAll(dying.mountPoint);
    containers.push(await TestContainer.start([], script));
    containers.push(await TestContainer.start([], script));
    // A container of a less privileged user: what it inherits is locked, and can only be covered.
    containers.push(
      await TestContainer.start(
        [],
        `${script}; exec unshare -U --map-root-user -m sh -c 'echo ready; exec sleep 1000'`,
      ),
    );
    const healthy = await TestContainer.start([], bindAll(living.mountPoint));
    containers.push(healthy);
    const before = healthy.mounts(/ \/(proc|sys)\S* .* fuse.lxcfs /);
    for (const container of containers) assert.match(container.read("/proc/meminfo"), /MemTotal/);
    await kill(dying);
    assert.equal(containers[0]?.read("/proc/meminfo"), "ENOTCONN");

    const report = await heal(pool, {
      mountPoint: living.mountPoint,
      dryRun: false,
      procRoot: "/proc",
    });

    // Others on this machine may have dead mounts, too: those are not this test's to judge.
    assert.ok(report.dead.length >= 1);
    assert.deepEqual(report.silent, []);
    const own = ownOutcomes(report);
    assert.ok(own.length >= 3);
    for (const outcome of own) assert.equal(outcome.message, undefined);
    for (const container of containers) {
      for (const file of FILES) {
        const text = container.read(`/proc/${file}`);
        assert.match(text, /^.*\s/, `${file} of ${container.pid}`);
      }
      assert.match(container.read("/sys/devices/system/cpu/online"), /^\d/);
    }
    assert.deepEqual(healthy.mounts(/ \/(proc|sys)\S* .* fuse.lxcfs /), before);
    const kinds = own.map(({ steps }) => new Set(steps.map(({ did }) => did)));
    assert.deepEqual(kinds[0], new Set(["replaced"]));
    assert.ok(kinds.some((kind) => kind.has("covered") && kind.size === 1));
  });

  it("finds nothing the second time", async () => {
    const options = { mountPoint: living.mountPoint, dryRun: false, procRoot: "/proc" };
    const report = await heal(pool, options);
    assert.deepEqual(ownOutcomes(report), []);
  });

  it("heals a hundred containers in a second", async () => {
    const many = await startLxcfs(scratch, "many");
    const script = bindAll(many.mountPoint);
    const hundred: TestContainer[] = [];
    for (let i = 0; i < 100; i++) hundred.push(await TestContainer.start([], script));
    try {
      await kill(many);
      const report = await heal(pool, {
        mountPoint: living.mountPoint,
        dryRun: false,
        procRoot: "/proc",
      });
      for (const container of hundred) assert.match(container.read("/proc/stat"), /^cpu /);
      const steps = report.outcomes.flatMap((outcome) => outcome.steps);
      const replaced = steps.filter(({ did }) => did === "replaced");
      console.log(`${replaced.length} mounts replaced in ${report.milliseconds.toFixed(0)} ms`);
      assert.ok(replaced.length >= 800, `${replaced.length} replaced`);
      assert.ok(report.milliseconds < HUNDRED_MS, `took ${report.milliseconds} ms`);
    } finally {
      for (const container of hundred) await container.stop();
    }
  });
});
