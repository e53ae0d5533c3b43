/**
 * The Debian package on a host that systemd runs: run inside the virtual machine by
 * deb_systemd.test.ts, which shares the two packages with it.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { START_MS } from "../../guest/guest.ts";
import { Reader } from "../../guest/reader.ts";
import { Container } from "../../support/container.ts";
import { tryRun } from "../../support/run.ts";
import { waitFor } from "../../support/wait.ts";

/** Where the packages are, as PACKAGES/lxcfs-ts_VERSION_amd64.deb. */
const PACKAGES = process.env["LXCFS_TEST_PACKAGES"] ?? "";
const MOUNTPOINT = "/var/lib/lxcfs";
const FIRST_LINE = "MemTotal:          65536 kB";
/** Unpacking Node.js in emulation. */
const DPKG_MS = 300_000;

let container: Container | undefined;

after(() => container?.stop());

function sh(script: string, timeoutMs = DPKG_MS): string {
  const { status, stdout, stderr } = tryRun(["sh", "-c", script], {
    timeoutMs,
    environment: { DEBIAN_FRONTEND: "noninteractive" },
  });
  assert.equal(status, 0, `${script}: ${stdout}${stderr}`);
  return stdout.trim();
}

const unit = (property: string): string =>
  sh(`systemctl show --value -p ${property} lxcfs.service`);

function mounts(): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[4] === MOUNTPOINT);
}

test("installed over Debian's lxcfs, the service is enabled, started, and answers", async () => {
  // The original serves, as on a host that is moved over.
  sh("systemctl start lxcfs.service");
  await waitFor("the original serves", () => mounts().length > 0, START_MS, 200);
  const limits = { memoryBytes: 64 << 20 };
  container = await Container.start({ mountpoint: MOUNTPOINT, limits });
  assert.match(container.read("/proc/meminfo"), /^MemTotal: +65536 kB$/m);
  sh(`dpkg -i ${PACKAGES}/lxcfs-ts_9.0.0_amd64.deb`);
  assert.equal(unit("ActiveState"), "active");
  assert.equal(unit("UnitFileState"), "enabled");
  assert.equal(mounts().length, 1);
  assert.doesNotMatch(sh("dpkg-query -W -f '${Status}' lxcfs 2>/dev/null || :"), / installed$/);
  assert.equal(sh("lxcfs --version"), '"9.0.0"');
  // Its own Node.js, not the machine's.
  assert.match(sh(`readlink /proc/${serverPid()}/exe`), /^\/usr\/lib\/lxcfs-ts\/bin\/node$/);
  // Debian 12's kernel lacks three things, and the doctor says so.
  const { findings } = JSON.parse(sh("lxcfs doctor --json || :")) as {
    findings: { check: string; severity: string; remedy?: string }[];
  };
  const kernel = findings.filter(({ check }) => check === "kernel");
  assert.deepEqual(
    kernel.map(({ severity, remedy }) => `${severity}: ${remedy}`),
    ["6.5", "6.9", "6.12"].map((release) => `note: Linux ${release} or later`),
  );
  // The container that had the original's files was healed by the start.
  assert.ok(container.read("/proc/meminfo").startsWith(FIRST_LINE));
});

test("a newer package takes over in place, and no read of a container fails", async () => {
  assert.ok(container);
  const holder = unit("MainPID");
  const reader = new Reader(container, "/proc/meminfo", FIRST_LINE);
  await waitFor("the reader has read", () => reader.reads() > 5, START_MS);
  const before = reader.reads();
  sh(`dpkg -i ${PACKAGES}/lxcfs-ts_9.0.1_amd64.deb`);
  // What was read meanwhile waits in the pipe.
  await sleep(500);
  const during = reader.reads() - before;
  await waitFor("the reader reads on", () => reader.reads() > before + during + 5, START_MS);
  assert.deepEqual(await reader.stop(), []);
  assert.ok(during > 5, `${during} reads during the upgrade`);
  const status = JSON.parse(sh("lxcfs status --json")) as Record<string, unknown>;
  assert.equal(status["version"], "9.0.1");
  assert.equal(status["upgrades"], 1);
  assert.equal(status["restarts"], 0);
  assert.equal(unit("MainPID"), holder);
  assert.equal(unit("ActiveState"), "active");
  assert.equal(unit("NRestarts"), "0");
  console.log(`${during} reads during the upgrade, none failed`);
});

test("removed, it has unmounted and left no process; a container that was detached reads on", async () => {
  assert.ok(container);
  const holder = unit("MainPID");
  sh(`lxcfs detach ${container.initPid}`);
  sh("dpkg -r lxcfs-ts");
  assert.deepEqual(mounts(), []);
  await waitFor("the holder has ended", () => !existsSync(`/proc/${holder}`), START_MS);
  assert.equal(sh("ls -l /proc/[0-9]*/exe 2>/dev/null | grep -c /usr/lib/lxcfs-ts || :"), "0");
  assert.match(container.read("/proc/meminfo"), /^MemTotal: /);
  assert.ok(!container.read("/proc/meminfo").startsWith(FIRST_LINE));
  sh("dpkg -P lxcfs-ts");
  assert.equal(unit("LoadState"), "not-found");
});

function serverPid(): string {
  const status = JSON.parse(sh("lxcfs status --json")) as { serverPid: number };
  return String(status.serverPid);
}
