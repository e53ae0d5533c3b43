/**
 * What is not a container's own does not exist for it, whatever system call asks: each call gets
 * exactly the answer that a name gets which never was (answers.ts), from every kind of caller.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import {
  absent,
  ancestor,
  assertAnswers,
  CALLS_NOT_MAKING,
  CALLS_ON_ANCESTOR,
  inAbsent,
  type Power,
} from "./answers.ts";
import { type Call, PATH_CALLS, type PathCall, Probe, whyNoProbe } from "./probe.ts";
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

  const askers = (): [string, Container, string[], Power][] => [
    ["root", mine, [], "host root"],
    ["root of a user namespace", mapped, [], "other"],
    ["root without cgroup mounts", unmounted, [], "host root"],
    ["an unprivileged user", mine, NOBODY, "other"],
  ];

  void test("every call on a foreign cgroup, and on what is in it, answers as if it never was", () => {
    for (const [who, container, prefix, power] of askers()) {
      for (const tree of trees(theirs)) {
        const cases: [string, (call: PathCall) => string][] = [
          [join(tree.top, "never-was"), (call) => absent(call, power)],
          [tree.own, (call) => absent(call, power)],
          [join(tree.own, "cgroup.procs"), inAbsent],
          [join(tree.own, "inner"), inAbsent],
          [join(tree.own, "made-by-probe"), inAbsent],
        ];
        for (const [path, expected] of cases) {
          const calls = PATH_CALLS.map((call): Call => [call, path]);
          const found = probe.ask(container, calls, prefix);
          assertAnswers(found, PATH_CALLS, expected, `${who}: ${path}`);
        }
        assert.ok(existsSync(join(tree.realOwn, "inner")), "the sibling is still there");
        assert.ok(!existsSync(join(tree.realOwn, "made-by-probe")));
      }
    }
  });

  void test("every call on a name that was the container's own, and is gone", () => {
    for (const [who, container, prefix] of askers()) {
      for (const tree of trees(container)) {
        const gone = join(tree.own, "gone");
        mkdirSync(join(tree.realOwn, "gone"));
        assert.deepEqual(probe.ask(container, [["stat", gone]], prefix), ["ok"], who);
        rmdirSync(join(tree.realOwn, "gone"));
        for (const path of [gone, join(gone, "cgroup.procs")]) {
          const calls = CALLS_NOT_MAKING.map((call): Call => [call, path]);
          const found = probe.ask(container, calls, prefix);
          assertAnswers(found, CALLS_NOT_MAKING, inAbsent, `${who}: ${path}`);
        }
      }
    }
  });

  void test("every call on an ancestor: it shows the next step only, and can't be changed", () => {
    for (const [who, container, prefix, power] of askers()) {
      for (const tree of trees(container)) {
        const listed = container
          .exec([...prefix, "ls", "-A", tree.top])
          .trim()
          .split("\n");
        assert.deepEqual(listed, [tree.own.slice(tree.top.length + 1)], who);
        assert.equal(container.exec(["stat", "-c", "%A", tree.top]).trim(), "dr-xr-xr-x", who);
        const before = statSync(tree.realTop);
        const calls = CALLS_ON_ANCESTOR.map((call): Call => [call, tree.top]);
        const found = probe.ask(container, calls, prefix);
        const what = `${who}: ${tree.top}`;
        assertAnswers(found, CALLS_ON_ANCESTOR, (call) => ancestor(call, power), what);
        const file = join(tree.top, "cgroup.procs");
        const onFile = probe.ask(
          container,
          PATH_CALLS.map((call): Call => [call, file]),
          prefix,
        );
        assertAnswers(onFile, PATH_CALLS, (call) => absent(call, power), `${who}: ${file}`);
        // The own cgroup is an entry of it, and stays.
        const [made, removed] = probe.ask(container, [
          ["mkdir", tree.own],
          ["rmdir", tree.own],
        ]);
        assert.equal(made, "EEXIST", who);
        assert.equal(removed, power === "other" && container === mapped ? "EACCES" : "EBUSY", who);
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
