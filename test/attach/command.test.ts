/** lxcfs attach, detach and heal as people call them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { OciContainer } from "../support/oci.ts";
import { keyedNumbers } from "../support/parse.ts";
import { attachCommand, lxcfsCommand } from "../support/project.ts";
import { installed, type Result, tryRun } from "../support/run.ts";

void describe("the commands", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;

  before(async () => {
    lab = await Lab.open();
    // A container that has nothing of ours yet.
    container = await lab.container({ limits: { memoryBytes: 64 << 20 }, binds: new Map() });
  });
  after(async () => await lab?.close());

  const lxcfs = (...args: string[]): Result =>
    tryRun([lxcfsCommand, ...args, "--mountpoint", lab.server.mountpoint]);
  const attach = (...args: string[]): Result =>
    tryRun([...attachCommand, ...args, "--mountpoint", lab.server.mountpoint]);
  const fileFromOutside = (path: string): string =>
    readFileSync(`/proc/${container.initPid}/root${path}`, "latin1");
  const pid = (): string => String(container.initPid);

  void test("attach shows a container its own view, whoever reads it", () => {
    tryRun([lxcfsCommand, "detach", pid()]);
    const { status, stdout, stderr } = attach(pid());
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^process \d+: \d+ attached$/m);
    for (const text of [container.read("/proc/meminfo"), fileFromOutside("/proc/meminfo")]) {
      assert.equal(keyedNumbers(text).get("MemTotal"), 65_536);
    }
    const mountinfo = readFileSync(`/proc/${pid()}/mountinfo`, "latin1");
    assert.match(mountinfo, / \/containers\/[\w-]+\/proc\/meminfo \/proc\/meminfo ro,/);
  });

  void test("a second attach finds all done", () => {
    assert.match(attach(pid()).stdout, /^process \d+: \d+ already$/m);
  });

  void test("heal leaves what lives alone", () => {
    const { status, stdout, stderr } = lxcfs("heal", "--dry-run");
    assert.equal(status, 0, stderr);
    assert.ok(!stdout.includes(`process ${pid()}`), stdout);
  });

  void test("detach gives the kernel's files back", () => {
    const { status, stdout, stderr } = tryRun([lxcfsCommand, "detach", pid()]);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /detached$/m);
    assert.doesNotMatch(readFileSync(`/proc/${pid()}/mountinfo`, "latin1"), / \/proc\/meminfo /);
  });

  const skip = installed("runc") ? false : "runc is not installed";
  void test("a container is known by its pid whatever runs it", { skip }, () => {
    const running = OciContainer.start("runc", { limits: { memoryBytes: 64 << 20 } });
    try {
      assert.equal(attach(String(running.initPid)).status, 0);
      assert.equal(keyedNumbers(running.read("/proc/meminfo")).get("MemTotal"), 65_536);
    } finally {
      running.stop();
    }
  });

  for (const [what, args, code, message] of [
    [
      "a name that nobody has",
      ["attach", "no-such-container"],
      3,
      /no running container is called/,
    ],
    ["a process that is gone", ["attach", "4194303"], 3, /does not exist any more/],
    ["nobody at all", ["attach"], 2, /whom\?/],
    ["an unknown option", ["attach", "--wrong"], 2, /--wrong/],
    ["names beside --all", ["detach", "--all", "1"], 2, /not both/],
    ["the host itself", ["attach", String(process.pid)], 1, /host's own mount namespace/],
    ["a time that is none", ["heal", "--timeout", "soon"], 2, /--timeout takes seconds/],
  ] as const) {
    void test(`${what}: one line, and its own exit code`, () => {
      const { status, stdout, stderr } = lxcfs(...args);
      assert.equal(status, code, stderr);
      assert.match(stderr, message);
      assert.equal(stdout + stderr.trim().replaceAll(/[^\n]/g, ""), "");
    });
  }

  void test("a mountpoint where nothing is served: one line, and its own exit code", () => {
    const { status, stderr } = tryRun([lxcfsCommand, "attach", pid(), "--mountpoint", "/tmp"]);
    assert.equal(status, 6);
    assert.match(stderr, /^lxcfs attach: no lxcfs is mounted on \/tmp\n$/);
  });
});
