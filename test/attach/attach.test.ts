/** Giving and taking files, in real mount namespaces. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AttachPool } from "../../src/attach/pool.ts";
import type { Binding, Job, Outcome } from "../../src/attach/types.ts";
import { cannotRun, enterSandbox, Scratch, TestContainer } from "./sandbox.ts";

function jobFor(pid: number, bindings: readonly Binding[], more: Partial<Job> = {}): Job {
  return {
    ...{ kind: "attach", pid, bindings, rootfs: "/", deadDevices: [], dryRun: false },
    ...{ procRoot: "/proc" },
    ...more,
  };
}

function did(outcome: Outcome): string {
  return outcome.steps.map((step) => step.did).join(" ");
}

for (const [kind, flags] of [
  ["privileged", []],
  ["with its own user namespace", ["-U", "--map-root-user"]],
] as const) {
  describe(`a container ${kind}`, { skip: cannotRun }, () => {
    let scratch: Scratch;
    let pool: AttachPool;
    let container: TestContainer;
    let bindings: Binding[];

    before(async () => {
      enterSandbox();
      scratch = new Scratch();
      const root = scratch.servedTree("served", {
        "proc/meminfo": "MemTotal: 1 kB\n",
        "proc/uptime": "1.00 1.00\n",
        "sys/devices/system/cpu/online": "0\n",
      });
      bindings = ["/proc/meminfo", "/proc/uptime", "/sys/devices/system/cpu"].map((target) => ({
        source: root + target,
        target,
      }));
      pool = new AttachPool({ threads: 2 });
      container = await TestContainer.start(flags);
    });

    after(async () => {
      await container.stop();
      await pool.close();
      scratch.close();
    });

    it("says what it would do, and does nothing, when only asked", async () => {
      const outcome = await pool.run(jobFor(container.pid, bindings, { dryRun: true }));
      assert.equal(outcome.message, undefined);
      assert.equal(did(outcome), "attached attached attached");
      assert.deepEqual(container.mounts(/ \/(proc|sys)\S* .* served /), []);
    });

    it("is given the files, read-only", async () => {
      const outcome = await pool.run(jobFor(container.pid, bindings));
      assert.equal(outcome.message, undefined);
      assert.equal(did(outcome), "attached attached attached");
      assert.equal(container.read("/proc/meminfo"), "MemTotal: 1 kB\n");
      assert.equal(container.read("/sys/devices/system/cpu/online"), "0\n");
      const lines = container.mounts(/ \/(proc|sys)\S* .* served /);
      assert.equal(lines.length, 3);
      for (const line of lines) assert.match(line, / ro,nosuid,nodev,noexec,/);
    });

    it("is left as it is the second time", async () => {
      const outcome = await pool.run(jobFor(container.pid, bindings));
      assert.equal(did(outcome), "already already already");
      assert.equal(container.mounts(/ \/(proc|sys)\S* .* served /).length, 3);
    });

    it("gets the kernel's files back", async () => {
      const outcome = await pool.run(jobFor(container.pid, bindings, { kind: "detach" }));
      assert.equal(outcome.message, undefined);
      assert.equal(did(outcome), "detached detached detached");
      assert.deepEqual(container.mounts(/ \/(proc|sys)\S* .* served /), []);
      assert.match(container.read("/proc/meminfo"), /^MemTotal: +\d{4,} kB/);
    });
  });
}
