/** Pressure triggers of real containers: armed by write, told by poll and epoll, each container's own. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { waitFor } from "../support/wait.ts";
import { type Load, Loads, ownFile, whyNoLoads } from "./ground.ts";

const CPU = "/proc/pressure/cpu";
/** A window that the kernel grants to everybody. */
const TRIGGER = "some 20000 2000000";
const EINVAL = "22";

function whyNoPressure(): string | false {
  const own = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].some((directory) =>
    existsSync(`${directory}/cgroup.controllers`),
  );
  if (!own) return "needs cgroup v2 mounted: pressure of cgroups is there alone";
  return existsSync("/proc/pressure/cpu") ? false : "needs a kernel that accounts pressure";
}

const skip = whyNoMounts() || whyNoLoads() || whyNoPressure();

void describe("pressure triggers", { skip }, () => {
  let lab: Lab;
  let loads: Loads;
  before(async () => {
    lab = await Lab.open({ args: ["--enable-psi-poll"] });
    loads = new Loads();
  });
  after(async () => {
    loads?.close();
    await lab?.close();
  });

  /** Descriptors of pressure files that the server has open for triggers. */
  const armed = (): number => {
    let count = 0;
    for (const pid of lab.server.pids()) {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        try {
          const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
          const flags = readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8");
          // Those that are only read from are kept open for their text.
          if (target.includes("pressure") && /^flags:\s\d*2$/m.test(flags)) count++;
        } catch {
          // Closed meanwhile.
        }
      }
    }
    return count;
  };

  void test("several waiters of a busy container are told, one of an idle container is not", async () => {
    const busy = await lab.container({ limits: { cpuset: "0" } });
    const idle = await lab.container();
    const before = armed();
    const waiters: Load[] = [];
    for (const way of ["wait", "ewait", "wait"]) {
      const waiter = await loads.start(busy, way, CPU, TRIGGER, "2");
      await waiter.begin("armed");
      waiters.push(waiter);
    }
    const quiet = await loads.start(idle, "wait", CPU, "some 1000000 2000000", "1");
    await quiet.begin("armed");
    assert.ok(armed() >= before + 4, `${armed()} files for triggers, ${before} before`);
    const spin = await loads.start(busy, "spin", "3");
    await spin.begin();
    // At most one event a window.
    for (const waiter of waiters) await waiter.said("event", 2, 20_000);
    assert.doesNotMatch(quiet.output, /event|error/);
    for (const each of [...waiters, spin, quiet]) await each.stop();
    await waitFor("triggers are released on close", () => armed() <= before);
  });

  void test("waiters on all three files take no thread of the server", async () => {
    const container = await lab.container();
    const threads = (): number =>
      lab.server.pids().reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/task`).length, 0);
    const before = { threads: threads(), armed: armed() };
    const waiters: Load[] = [];
    for (const resource of ["cpu", "memory", "io", "cpu", "memory", "io"]) {
      const path = `/proc/pressure/${resource}`;
      const waiter = await loads.start(container, "wait", path, "some 1000000 2000000", "1");
      await waiter.begin("armed");
      waiters.push(waiter);
    }
    assert.equal(armed(), before.armed + waiters.length);
    assert.equal(threads(), before.threads);
    for (const waiter of waiters) await waiter.stop();
    await waitFor("triggers are released on close", () => armed() <= before.armed);
  });

  void test("pressure is word for word the cgroup's own", async () => {
    const container = await lab.container({ limits: { cpuset: "0" } });
    const spin = await loads.start(container, "spin", "3");
    await spin.begin();
    await sleep(1000);
    for (const resource of ["cpu", "memory", "io"]) {
      const file = container.cgroups.file(`${resource}.pressure`);
      assert.ok(file !== undefined);
      const total = (text: string): number => Number(/^some .*total=(\d+)$/m.exec(text)?.[1]);
      const least = total(readFileSync(file, "utf8"));
      const shown = total(ownFile(lab.server.mountpoint, container, `proc/pressure/${resource}`));
      const most = total(readFileSync(file, "utf8"));
      assert.ok(shown >= least && shown <= most, `${resource}: ${least}, ${shown}, ${most}`);
      if (resource === "cpu") assert.ok(shown > 100_000, `${shown} us of waiting for a CPU`);
    }
    await spin.stop();
  });

  void test("a trigger survives the server", async () => {
    const container = await lab.container({ limits: { cpuset: "0" } });
    const waiter = await loads.start(container, "wait", CPU, TRIGGER, "1");
    await waiter.begin("armed");
    const [, server] = lab.server.pids().toSorted((a, b) => a - b);
    assert.ok(server !== undefined);
    process.kill(server, "SIGKILL");
    await lab.server.answers();
    const spin = await loads.start(container, "spin", "3");
    await spin.begin();
    await waiter.said("event", 1, 20_000);
    for (const each of [waiter, spin]) await each.stop();
  });

  void test("what the kernel refuses is refused", async () => {
    const container = await lab.container();
    for (const trigger of [
      "some 0 2000000",
      "some 3000000 2000000",
      "some 1 100000",
      "most 1 2000000",
    ]) {
      // prettier-ignore
      const waiter = await loads.start(container, "wait", CPU, trigger, "1");
      await waiter.begin(EINVAL);
      await waiter.stop();
    }
  });

  void test("a container that ends lets its waiter go", async () => {
    const container = await lab.container({ depth: 2 });
    const before = armed();
    const waiter = await loads.start(container, "wait", CPU, TRIGGER, "1");
    await waiter.begin("armed");
    container.stop();
    await waitFor("its trigger is released", () => armed() <= before);
    await sleep(50);
    assert.ok(lab.server.answersNow());
  });
});

void describe("without --enable-psi-poll", { skip }, () => {
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

  void test("a trigger is refused", async () => {
    const container = await lab.container();
    const waiter = await loads.start(container, "wait", CPU, TRIGGER, "1");
    await waiter.begin(EINVAL);
    await waiter.stop();
  });
});
