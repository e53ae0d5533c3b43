/** The CPU policy of one container, set by command, seen at its next read, kept by the kernel. */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import type { Container } from "../support/container.ts";

const hostCpus = cpus().length;
const skip = whyNoMounts() || (hostCpus > 1 ? false : "needs a machine with two CPUs");

void describe("lxcfs cpu-policy", { skip }, () => {
  let lab: Lab;
  let container: Container;
  before(async () => {
    lab = await Lab.open();
    container = await lab.container({
      limits: { cpuQuotaUs: 50_000, cpuset: `0-${hostCpus - 1}` },
    });
  });
  after(async () => await lab?.close());

  const policy = (...args: readonly string[]): string =>
    run([lxcfsCommand, "cpu-policy", String(container.initPid), ...args]).trim();
  const shown = (): number => container.read("/proc/cpuinfo").match(/^processor/gm)?.length ?? 0;

  void test("one container's policy is apart from the mount's", async () => {
    assert.match(policy(), /: default$/);
    assert.equal(shown(), hostCpus);
    assert.match(policy("quota"), /: quota$/);
    assert.equal(shown(), 1);
    assert.equal(container.read("/sys/devices/system/cpu/online"), "0\n");
    assert.match(policy(), /: quota$/);
    assert.match(policy("cpus=2"), /: cpus=2$/);
    assert.equal(shown(), 2);
    assert.equal(container.read("/sys/devices/system/cpu/online"), "0-1\n");
    assert.match(policy("cpus=1000"), /: cpus=1000$/);
    assert.equal(shown(), hostCpus);
    assert.match(policy("cpus=1"), /: cpus=1$/);
    assert.equal(shown(), 1);
    const other = await lab.container({ limits: { cpuQuotaUs: 50_000 } });
    assert.equal(other.read("/proc/cpuinfo").match(/^processor/gm)?.length, hostCpus);
    container.cgroups.limit({ cpuset: "0" });
    assert.match(policy("none"), /: none$/);
    assert.equal(shown(), hostCpus);
    assert.match(policy("default"), /: default$/);
    assert.equal(shown(), 1);
  });

  void test("a process in no container, and nonsense, are refused in one line", () => {
    const host = tryRun([lxcfsCommand, "cpu-policy", "1"]);
    assert.notEqual(host.status, 0);
    assert.match(host.stderr, /^lxcfs cpu-policy: .*\n$/);
    const nonsense = tryRun([lxcfsCommand, "cpu-policy", String(container.initPid), "many"]);
    assert.notEqual(nonsense.status, 0);
    assert.match(nonsense.stderr, /^lxcfs cpu-policy: .*\n$/);
  });
});
