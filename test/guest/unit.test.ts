/** The project's unit under systemd: started, reloaded, killed in parts and whole, stopped. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test, describe } from "node:test";
import { Container } from "../support/container.ts";
import { run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { START_MS } from "./guest.ts";
import { Reader } from "./reader.ts";
import { installUnit, MOUNTPOINT, type Unit } from "./unit.ts";

describe("the systemd unit", () => {
  const FIRST_LINE = "MemTotal:          65536 kB";

  let unit: Unit;
  let container: Container;

  before(async () => {
    unit = installUnit();
    unit.systemctl("start");
    const limits = { memoryBytes: 64 << 20 };
    container = await Container.start({ mountpoint: MOUNTPOINT, limits });
  });
  after(() => {
    container?.stop();
    unit?.remove();
  });

  function mounts(): string[] {
    const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    return lines.filter((line) => line.split(" ")[4] === MOUNTPOINT);
  }

  /** Waits until another server than `pid` serves, and the unit is at rest. */
  async function serverAfter(pid: number): Promise<number> {
    return await waitFor(
      "another server serves",
      () => {
        if (unit.show("SubState") !== "running") return undefined;
        const now = unit.serverPid();
        return now !== pid && !Number.isNaN(now) && answers() ? now : undefined;
      },
      START_MS,
      200,
    );
  }

  function answers(): boolean {
    return container.tryExec(["cat", "/proc/meminfo"]).stdout.startsWith(FIRST_LINE);
  }

  /** Runs `disturb` while a container reads; gives what went wrong for it. */
  async function whileReading(disturb: () => Promise<void>): Promise<string[]> {
    const reader = new Reader(container, "/proc/meminfo", FIRST_LINE);
    await waitFor("the reader has read", () => reader.reads() > 5, START_MS);
    await disturb();
    const reads = reader.reads();
    await waitFor("the reader reads on", () => reader.reads() > reads + 5, START_MS);
    return await reader.stop();
  }

  test("once the start has returned, the mount answers", () => {
    assert.equal(unit.systemctl("is-active"), "active\n");
    assert.match(mounts()[0] ?? "", / - fuse\.lxcfs /);
    assert.ok(answers());
  });

  test("the kernel's OOM killer leaves it alone", () => {
    for (const pid of [unit.mainPid(), unit.serverPid()]) {
      assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim(), "-1000");
    }
  });

  test("reload is an upgrade in place: another server, same holder, no failed read", async () => {
    const holder = unit.mainPid();
    const server = unit.serverPid();
    const wrong = await whileReading(async () => {
      unit.systemctl("reload");
      await serverAfter(server);
    });
    assert.deepEqual(wrong, []);
    assert.equal(unit.mainPid(), holder);
    await waitFor("the old server has ended", () => !existsSync(`/proc/${server}`), START_MS);
  });

  test("a killed server is replaced by the holder; systemd need not know", async () => {
    const holder = unit.mainPid();
    const restarts = unit.show("NRestarts");
    const wrong = await whileReading(async () => {
      for (let round = 0; round < 3; round++) {
        const server = unit.serverPid();
        process.kill(server, "SIGKILL");
        await serverAfter(server);
      }
    });
    assert.deepEqual(wrong, []);
    assert.equal(unit.mainPid(), holder);
    assert.equal(unit.show("NRestarts"), restarts);
  });

  test("a killed holder is restarted by systemd, and no read fails meanwhile", async () => {
    const holder = unit.mainPid();
    const server = unit.serverPid();
    const wrong = await whileReading(async () => {
      process.kill(holder, "SIGKILL");
      await serverAfter(server);
    });
    assert.deepEqual(wrong, []);
    assert.notEqual(unit.mainPid(), holder);
    assert.equal(unit.show("NRestarts"), "1");
    assert.equal(mounts().length, 1);
  });

  test("killed whole, it comes back, and containers are healed", async () => {
    const server = unit.serverPid();
    unit.systemctl("kill", "-s", "KILL");
    await serverAfter(server);
    assert.equal(mounts().length, 1);
    assert.deepEqual(await whileReading(async () => {}), []);
  });

  test("stop unmounts and leaves no process", async () => {
    const cgroup = unit.show("ControlGroup");
    unit.systemctl("stop");
    assert.deepEqual(mounts(), []);
    assert.equal(
      run(["systemctl", "show", "--value", "-p", "Result", "lxcfs.service"]),
      "success\n",
    );
    await waitFor("the unit's cgroup is gone", () => !cgroupExists(cgroup), START_MS);
  });

  test("it can be started again", () => {
    unit.systemctl("start");
    assert.match(mounts()[0] ?? "", / - fuse\.lxcfs /);
    assert.match(readFileSync(`${MOUNTPOINT}/proc/uptime`, "utf8"), /^\d+\.\d\d \d+\.\d\d\n$/);
    unit.systemctl("stop");
  });

  function cgroupExists(path: string): boolean {
    return ["", "/systemd", "/unified"].some((root) => existsSync(`/sys/fs/cgroup${root}${path}`));
  }
});
