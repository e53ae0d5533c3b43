/**
 * What is not a container's own does not exist for it, whatever system call asks. Each call is made
 * on a sibling's cgroup and on a name that never was: nothing may tell the two apart.
 */
import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { type Call, MAKING, PATH_CALLS, Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

void describe("confinement", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  let mapped: Container;
  let unmounted: Container;
  let theirs: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
    mapped = await lab.container({ userBase: 400_000 });
    unmounted = await lab.container({ cgroupMounts: false });
    theirs = await lab.container();
    theirs.cgroups.makeBelow(theirs.cgroups.path, "inner");
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (container: Container): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, container));

  const askers = (): [string, Container, string[]][] => [
    ["root", mine, []],
    ["root of a user namespace", mapped, []],
    ["root without cgroup mounts", unmounted, []],
    ["an unprivileged user", mine, NOBODY],
  ];

  void test("no call tells a foreign cgroup, or a file in it, from a name that never was", () => {
    for (const [who, container, prefix] of askers()) {
      for (const tree of trees(theirs)) {
        const never = join(tree.top, "never-was");
        for (const [foreign, nothing] of [
          [tree.own, never],
          [join(tree.own, "cgroup.procs"), join(never, "cgroup.procs")],
          [join(tree.own, "inner"), join(never, "inner")],
          [join(tree.own, "made-by-probe"), join(never, "made-by-probe")],
        ] as const) {
          const calls = (path: string): Call[] => PATH_CALLS.map((call) => [call, path]);
          const found = probe.ask(container, calls(foreign), prefix);
          const expected = probe.ask(container, calls(nothing), prefix);
          for (const [index, call] of PATH_CALLS.entries()) {
            assert.equal(found[index], expected[index], `${who}: ${call} ${foreign}`);
            if (MAKING.has(call) && foreign === tree.own) {
              assert.match(found[index] ?? "", /^(EPERM|EACCES)$/, `${who}: ${call} ${foreign}`);
            } else {
              assert.equal(found[index], "ENOENT", `${who}: ${call} ${foreign}`);
            }
          }
        }
        assert.ok(existsSync(tree.realOwn), "the sibling is still there");
        assert.ok(!existsSync(join(tree.realOwn, "made-by-probe")));
      }
    }
  });

  void test("a name that was the container's own, and is gone", () => {
    for (const [who, container] of askers()) {
      for (const tree of trees(container)) {
        const gone = join(tree.own, "gone");
        mkdirSync(join(tree.realOwn, "gone"));
        assert.deepEqual(probe.ask(container, [["stat", gone]]), ["ok"], who);
        rmdirSync(join(tree.realOwn, "gone"));
        const calls = PATH_CALLS.filter((call) => !MAKING.has(call));
        const found = probe.ask(
          container,
          calls.map((call) => [call, gone]),
        );
        for (const [index, call] of calls.entries()) {
          assert.equal(found[index], "ENOENT", `${who}: ${call} ${gone}`);
        }
      }
    }
  });

  void test("an ancestor shows the next step only, and can't be changed", () => {
    for (const [who, container] of askers()) {
      for (const tree of trees(container)) {
        const listed = container.exec(["ls", "-A", tree.top]).trim().split("\n");
        assert.deepEqual(listed, [tree.own.slice(tree.top.length + 1)], who);
        assert.equal(container.exec(["stat", "-c", "%A", tree.top]).trim(), "dr-xr-xr-x", who);
        const before = statSync(tree.realTop);
        const file = join(tree.top, "cgroup.procs");
        const answers = probe.ask(container, [
          ["chmod", tree.top],
          ["chown", tree.top],
          ["mkdir", tree.own],
          ["rmdir", tree.own],
          ["rename", tree.own],
          ["open-read", file],
          ["write", file],
          ["stat", join(tree.top, "tasks")],
        ]);
        assert.match(answers[0] ?? "", /^EPERM$/, who);
        assert.match(answers[1] ?? "", /^EPERM$/, who);
        assert.equal(answers[2], "EEXIST", who);
        assert.match(answers[3] ?? "", /^(EBUSY|EACCES)$/, who);
        assert.match(answers[4] ?? "", /^(EPERM|EACCES)$/, who);
        assert.deepEqual(answers.slice(5), ["ENOENT", "ENOENT", "ENOENT"], who);
        const { mode, uid } = statSync(tree.realTop);
        assert.deepEqual([mode, uid], [before.mode, before.uid]);
      }
    }
  });

  void test("the own cgroup: real owner and mode, its limits read-only", () => {
    for (const tree of trees(mine)) {
      for (const name of readdirSync(tree.realOwn)) {
        if (name === "cgroup.event_control") continue;
        const real = statSync(join(tree.realOwn, name));
        const seen = mine.exec(["stat", "-c", "%f %u %g %i", join(tree.own, name)]).trim();
        assert.equal(seen, `${real.mode.toString(16)} ${real.uid} ${real.gid} ${real.ino}`, name);
      }
    }
    const limit = treeOf(lab.server.mountpoint, "memory", mine);
    if (existsSync(limit.realOwn)) {
      const file = join(limit.own, "memory.limit_in_bytes");
      assert.deepEqual(
        probe.ask(mine, [
          ["write:1000000", file],
          ["chmod", file],
          ["chown", file],
          ["read", file],
          ["stat", join(limit.own, "cgroup.event_control")],
        ]),
        ["EPERM", "EPERM", "EPERM", "ok", "ENOENT"],
      );
    }
    const unified = treeOf(lab.server.mountpoint, "unified", mine);
    if (existsSync(unified.realOwn)) {
      assert.deepEqual(
        probe.ask(mine, [
          ["write:1", join(unified.own, "cgroup.freeze")],
          ["write:1", join(unified.own, "cgroup.kill")],
          ["write:1", join(unified.own, "cgroup.max.depth")],
          ["write:x", join(unified.own, "cpu.pressure")],
        ]),
        ["EPERM", "EPERM", "EPERM", "EPERM"],
      );
    }
  });

  void test("root of a user namespace writes nothing that belongs to the host's root", () => {
    for (const tree of trees(mapped)) {
      assert.deepEqual(
        probe.ask(mapped, [
          ["mkdir", join(tree.own, "made")],
          ["open-write", join(tree.own, "cgroup.procs")],
          ["chmod", tree.own],
        ]),
        ["EACCES", "EACCES", "EPERM"],
      );
    }
  });

  void test("a descriptor that came from elsewhere reads and writes nothing", () => {
    for (const tree of trees(theirs)) {
      const fd = openSync(join(tree.own, "cgroup.procs"), "r+");
      const directoryFd = openSync(tree.own, "r");
      try {
        const [program = "", ...rest] = mine.command([probe.program]);
        const input = "read fd:3\nwrite fd:3\nopen-read /proc/self/fd/4/cgroup.procs\n";
        const { stdout } = spawnSync(program, rest, {
          input,
          encoding: "utf8",
          stdio: ["pipe", "pipe", "inherit", fd, directoryFd],
        });
        // ENODEV, ENODEV, ENOENT
        assert.equal(stdout, "19\n19\n2\n");
      } finally {
        closeSync(fd);
        closeSync(directoryFd);
      }
    }
  });

  void test("who opened a file and who writes to it are one user", () => {
    for (const tree of trees(mine)) {
      const shell = `exec 3> '${join(tree.own, "cgroup.procs")}'; exec "$@"`;
      const argv = ["sh", "-c", shell, "sh", ...NOBODY, probe.program];
      assert.equal(mine.exec(argv, { input: "write fd:3\n" }), "13\n");
    }
  });

  void test("names that are no names", () => {
    for (const tree of trees(mine)) {
      const answers = probe.ask(mine, [
        ["stat", join(tree.own, "x") + "/../../never-was"],
        ["stat", `${tree.own}/${"n".repeat(255)}`],
        ["mkdir", `${tree.own}/cgroup.procs`],
      ]);
      assert.deepEqual(answers, ["ENOENT", "ENOENT", "EEXIST"]);
      const newline = mine.tryExec(["mkdir", `${tree.own}/a\nb`]);
      assert.notEqual(newline.status, 0);
      const odd = Buffer.from(`${tree.own}/ü (deleted)`).toString();
      mine.exec(["mkdir", odd]);
      assert.ok(mine.exec(["ls", tree.own]).includes("ü (deleted)"));
      mine.exec(["rmdir", odd]);
      // No UTF-8: made and found by the shell's own bytes.
      const bytes =
        'cd "$1" && d=$(printf \'x\\377y\') && mkdir "$d" && ls | grep -aq "$d" && rmdir x*y';
      mine.exec(["sh", "-c", bytes, "sh", tree.own], { environment: { LC_ALL: "C" } });
    }
  });
});
