/** The demonstration, as a user runs it: what it shows, and that nothing of it is left, however it ends. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { guardWith } from "../support/guard.ts";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { waitFor } from "../support/wait.ts";

void describe("the demonstration", { skip: whyNoMounts() }, () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), "lxcfs-demo-"));
    guardWith(`rm -rf --one-file-system '${directory}'`);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Starts it in a process group of its own, as a terminal does; its files lie in `directory`. */
  function start(environment: NodeJS.ProcessEnv = {}): Demo {
    mkdirSync(directory, { recursive: true });
    const child = spawn(process.execPath, [join(projectRoot, "dist/tools/demo.js")], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: directory, ...environment },
    });
    const demo = { child, said: "" };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (demo.said += text));
    }
    return demo;
  }

  async function assertNothingLeft(pid: number): Promise<void> {
    // What the demo could not undo itself its guard does after it.
    await waitFor(
      "nothing is left",
      () =>
        !readFileSync("/proc/self/mountinfo", "utf8").includes(directory) &&
        readdirSync(directory).every((name) => !name.startsWith("lxcfs-")) &&
        cgroupsOf(pid).length === 0,
      20_000,
    );
  }

  void test("shows what the container sees beside what the host sees, and cleans up", async () => {
    const demo = start();
    await once(demo.child, "close");
    assert.equal(demo.child.exitCode, 0, demo.said);
    const section = (heading: string): string =>
      demo.said.split(/^== /m).find((text) => text.startsWith(heading)) ?? "";
    assert.match(section("free -m"), /^Mem: +256 /m);
    const hostMiB = Math.floor(
      Number(/MemTotal: +(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) / 1024,
    );
    assert.match(section("free -m"), new RegExp(`^Mem: +${hostMiB} `, "m"));
    assert.match(section("CPUs online"), /^0 *(0-\d+)?$/m);
    assert.match(section("uptime"), /up 0 min/);
    assert.match(section("cat /proc/loadavg"), /^0\.\d\d 0\.\d\d 0\.\d\d \d+\/\d+ \d+/m);
    assert.match(section("top -b -n1"), /MiB Mem : +256\.0 total/);
    await assertNothingLeft(demo.child.pid ?? 0);
  });

  for (const [signal, moment] of [
    ["SIGINT", "while it starts"],
    ["SIGINT", "while it shows"],
    ["SIGTERM", "while it shows"],
    ["SIGHUP", "while it starts"],
  ] as const) {
    void test(`${signal} to all of it ${moment}`, async () => {
      const demo = start();
      await (moment === "while it starts"
        ? waitFor("a server starts", () => readdirSync(directory).some(isServer))
        : waitFor("a first part is shown", () => demo.said.includes("== free")));
      await sleep(Math.random() * 300);
      const { pid = 0 } = demo.child;
      const ended = once(demo.child, "close");
      process.kill(-pid, signal);
      await ended;
      // The last moment may be too late to stop it.
      if (demo.child.exitCode !== 0 || !demo.said.includes("are gone again")) {
        assert.equal(demo.child.exitCode, 128 + constants.signals[signal], demo.said);
        assert.doesNotMatch(demo.said, /^ +at /m);
      }
      await assertNothingLeft(pid);
    });
  }

  void test("killed at once, its guard cleans up", async () => {
    const demo = start();
    await waitFor("the container runs", () => demo.said.includes("Mounted on"), 30_000);
    const { pid = 0 } = demo.child;
    const ended = once(demo.child, "close");
    process.kill(-pid, "SIGKILL");
    await ended;
    await assertNothingLeft(pid);
  });

  void test("a failure half-way is one line, and cleans up", async () => {
    const programs = join(directory, "bin");
    mkdirSync(programs, { recursive: true });
    writeFileSync(join(programs, "uptime"), "#!/bin/sh\necho broken >&2; exit 3\n", {
      mode: 0o755,
    });
    const demo = start({ PATH: `${programs}:${process.env["PATH"] ?? ""}` });
    await once(demo.child, "close");
    assert.equal(demo.child.exitCode, 1);
    assert.match(demo.said, /^== free/m);
    assert.match(
      demo.said,
      /^Cannot show the demonstration: uptime, in the container, ended with 3: broken$/m,
    );
    assert.doesNotMatch(demo.said, /^ +at /m);
    rmSync(programs, { recursive: true });
    await assertNothingLeft(demo.child.pid ?? 0);
  });
});

interface Demo {
  readonly child: ChildProcess;
  said: string;
}

function isServer(name: string): boolean {
  return name.startsWith("lxcfs-ours-");
}

/** Cgroups that the process with this pid has made. */
function cgroupsOf(pid: number): string[] {
  return mountedHierarchies().flatMap(({ mountpoint }) =>
    readdirSync(mountpoint).filter((name) => name.startsWith(`lxcfs-test-${pid}-`)),
  );
}
