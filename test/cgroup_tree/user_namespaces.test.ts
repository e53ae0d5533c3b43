/**
 * Moves by root of a user namespace on cgroup v2, from one group to that of another of its users: the
 * kernel asks who may write the lists of the target and of the group above both. The same is asked
 * through the container's own cgroup mount, and must be answered in the same way.
 */
import assert from "node:assert/strict";
import { type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

const USER_BASE = 600_000;
const USER = USER_BASE + 1000;
const AS_USER = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
const WITHOUT_OVERRIDE = [
  ...["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"],
];

/** Owner, group and mode of the upper group's list; where to; who; what both say. */
const CASES = [
  ["the upper one is its own", [USER_BASE, USER_BASE, 0o644], "users", [], "ok"],
  ["a third user's", [USER_BASE + 2000, USER_BASE + 2000, 0o644], "users", [], "ok"],
  ["the host's", [0, 0, 0o644], "users", [], "EACCES"],
  ["of a group that is not mapped", [USER, 0, 0o444], "users", [], "EACCES"],
  ["the target is the host's", [USER_BASE, USER_BASE, 0o644], "hosts", [], "EACCES"],
  ["that user itself asks", [USER_BASE, USER_BASE, 0o644], "users", AS_USER, "EACCES"],
  ["no CAP_DAC_OVERRIDE", [USER_BASE, USER_BASE, 0o644], "users", WITHOUT_OVERRIDE, "EACCES"],
] as const;

const noUnified = !hierarchyNames().includes("unified") && "needs cgroup v2";

void describe(
  "moves in a user namespace",
  { skip: whyNoMounts() || whyNoProbe() || noUnified },
  () => {
    let lab: Lab;
    let probe: Probe;
    let mapped: Container;
    let tree: Tree;
    let child: ChildProcess;
    /** What is moved, as the container and as the host numbers it. */
    let inside: string;
    let outside: string;
    before(async () => {
      lab = await openLab();
      probe = new Probe();
      mapped = await lab.container({ userBase: USER_BASE });
      tree = treeOf(lab.server.mountpoint, "unified", mapped);
      for (const [path, owner] of [
        ["", USER_BASE],
        ["upper", USER_BASE],
        ["upper/leaf", USER_BASE],
        ["upper/users", USER],
        ["upper/hosts", 0],
      ] as const) {
        const group = join(tree.realOwn, path);
        mkdirSync(group, { recursive: true });
        for (const name of ["", "cgroup.procs"]) chownSync(join(group, name), owner, owner);
      }
      child = mapped.spawn(["sh", "-c", "echo $$; exec sleep 1000"]);
      assert.ok(child.stdout);
      [inside] = (await once(createInterface(child.stdout), "line")) as [string];
      outside = listOf("").find((pid) => status(pid).includes(`\t${inside}\n`)) ?? "";
      assert.notEqual(outside, "");
    });
    after(async () => {
      if (outside !== "") process.kill(Number(outside), "SIGKILL");
      probe?.remove();
      await lab?.close();
    });

    const groupsIn = (group: string): string[] =>
      readdirSync(join(tree.realOwn, group), { withFileTypes: true })
        .filter((each) => each.isDirectory())
        .map(({ name }) => name);
    const listOf = (group: string): string[] =>
      readFileSync(join(tree.realOwn, group, "cgroup.procs"), "latin1")
        .trim()
        .split("\n");

    void test("a list that its owner may not write is nobody's to write, unlike the kernel's", () => {
      writeFileSync(join(tree.realOwn, "upper/leaf/cgroup.procs"), outside);
      const upper = join(tree.realOwn, "upper/cgroup.procs");
      chownSync(upper, USER_BASE, USER_BASE);
      chmodSync(upper, 0o444);
      const [ours, kernels] = [tree.own, tree.realTop].map((own) =>
        probe.ask(mapped, [[`write:${inside}`, join(own, "upper/users/cgroup.procs")]]),
      );
      assert.deepEqual([ours, kernels], [["EACCES"], ["ok"]]);
    });

    void test("who forks all the time is moved with all that it forks meanwhile", async () => {
      chownSync(join(tree.realOwn, "upper/cgroup.procs"), USER_BASE, USER_BASE);
      chmodSync(join(tree.realOwn, "upper/cgroup.procs"), 0o644);
      const script = "echo $$; while :; do (:); done";
      const forking = mapped.spawn(["sh", "-c", script]);
      assert.ok(forking.stdout);
      const [line] = (await once(createInterface(forking.stdout), "line")) as [string];
      const host = listOf("").find((pid) => status(pid).includes(`\t${line}\n`)) ?? "";
      try {
        const procs = join(tree.own, "upper/users/cgroup.procs");
        for (let round = 0; round < 20; round++) {
          writeFileSync(join(tree.realOwn, "upper/leaf/cgroup.procs"), host);
          assert.deepEqual(probe.ask(mapped, [[`write:${line}`, procs]]), ["ok"]);
          assert.ok(listOf("upper/users").includes(host));
          assert.deepEqual(groupsIn("upper/users"), []);
        }
      } finally {
        process.kill(Number(host), "SIGKILL");
      }
    });

    for (const [what, [uid, gid, mode], target, prefix, expected] of CASES) {
      void test(`${what}: ${expected}`, () => {
        const upper = join(tree.realOwn, "upper/cgroup.procs");
        // Its own cgroup is the top of what the kernel shows it.
        for (const own of [tree.realTop, tree.own]) {
          writeFileSync(join(tree.realOwn, "upper/leaf/cgroup.procs"), outside);
          chownSync(upper, uid, gid);
          chmodSync(upper, mode);
          const procs = join(own, "upper", target, "cgroup.procs");
          assert.deepEqual(
            probe.ask(mapped, [[`write:${inside}`, procs]], prefix),
            [expected],
            own,
          );
          const now = `upper/${expected === "ok" ? target : "leaf"}`;
          assert.ok(listOf(now).includes(outside), `${own}: it is in ${now}`);
          assert.deepEqual(groupsIn(join("upper", target)), []);
        }
      });
    }
  },
);

function status(pid: string): string {
  try {
    return /^NSpid:.*\n/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[0] ?? "";
  } catch {
    return "";
  }
}
