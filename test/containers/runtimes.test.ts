/** Containers of runc, crun and LXC see themselves, through binds and through the mount hook. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { classicBinds } from "../support/container.ts";
import { kindUnderTest, Lab, whyNoMounts } from "../support/lab.ts";
import { LxcContainer } from "../support/lxc.ts";
import { OciContainer, RUNC_PROC_PATHS } from "../support/oci.ts";
import { cpuinfoBlocks, keyedNumbers, statRows } from "../support/parse.ts";
import { projectRoot } from "../support/project.ts";
import { installed } from "../support/run.ts";

const LIMITS = { memoryBytes: 64 << 20, cpuset: "0" };

interface Inside {
  exec(argv: readonly string[]): string;
  read(path: string): string;
}

function assertSeesItself(container: Inside): void {
  assert.equal(keyedNumbers(container.read("/proc/meminfo")).get("MemTotal"), 65_536);
  assert.match(container.exec(["free", "-m"]), /^Mem: +64 /m);
  assert.equal(cpuinfoBlocks(container.read("/proc/cpuinfo")).length, 1);
  const rows = statRows(container.read("/proc/stat"));
  assert.ok(rows.has("cpu0") && !rows.has("cpu1"));
  assert.equal(container.read("/sys/devices/system/cpu/online").trim(), "0");
  const [uptime = Number.NaN] = container.read("/proc/uptime").split(" ").map(Number);
  assert.ok(uptime >= 0 && uptime < 60, `uptime is ${uptime}`);
}

void describe("runtimes", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  for (const runtime of ["runc", "crun"] as const) {
    const skip = installed(runtime) ? false : `${runtime} is not installed`;
    void test(`${runtime}, with the files bound that it allows`, { skip }, () => {
      const binds = new Map(
        [...classicBinds(lab.server.mountpoint)].filter(
          ([inside]) =>
            inside.startsWith("/sys/devices/system/cpu") ||
            RUNC_PROC_PATHS.some((name) => inside === `/proc/${name}`),
        ),
      );
      const container = OciContainer.start(runtime, { limits: LIMITS, binds });
      try {
        assertSeesItself(container);
      } finally {
        container.stop();
      }
    });
  }

  const hook = mountHook();
  const skip = !installed("lxc-start")
    ? "LXC is not installed"
    : hook === undefined
      ? "the server under test has no mount hook"
      : false;
  void test("LXC, through its mount hook", { skip }, () => {
    const own = join(lab.server.directory, "mount.hook");
    // The hook knows one mountpoint, the usual one: this is a copy for this test's.
    const text = readFileSync(hook ?? "", "utf8");
    assert.ok(text.includes("/var/lib/lxcfs"), "the hook names no mountpoint");
    writeFileSync(own, text.replaceAll("/var/lib/lxcfs", lab.server.mountpoint), { mode: 0o755 });
    const container = LxcContainer.start({ limits: LIMITS, mountHook: own });
    try {
      assertSeesItself(container);
    } finally {
      container.stop();
    }
  });
});

/** The mount hook that comes with the server under test. */
function mountHook(): string | undefined {
  const ours = join(projectRoot, "share/lxc.mount.hook");
  return [kindUnderTest === "peer" ? "/usr/share/lxcfs/lxc.mount.hook" : ours].find((path) =>
    existsSync(path),
  );
}
