/**
 * Descriptors: handed from one container to another or from one user to another, and those of
 * cgroups that have gone. Every call is decided for who makes it.
 */
import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { assertAnswers, inAbsent } from "./answers.ts";
import { type Call, PATH_CALLS, Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

const NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];

void describe("descriptors", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  let theirs: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
    theirs = await lab.container();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (container: Container): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, container));

  /** All calls on a name in a directory of which only a descriptor, number 4, is left. */
  const inDirectory: Call[] = PATH_CALLS.map((call) => [call, "/proc/self/fd/4/cgroup.procs"]);

  void test("of another container's cgroup: nothing is read, written, found or made", () => {
    for (const tree of trees(theirs)) {
      const fd = openSync(join(tree.own, "cgroup.procs"), "r+");
      const directoryFd = openSync(tree.own, "r");
      try {
        const [read, wrote, polled, ...found] = probe.askWith(
          mine,
          [fd, directoryFd],
          [["read", "fd:3"], ["write", "fd:3"], ["poll", "fd:3"], ...inDirectory],
        );
        assert.deepEqual([read, wrote, polled], ["ENODEV", "ENODEV", "ENODEV"]);
        assertAnswers(found, PATH_CALLS, inAbsent, tree.own);
      } finally {
        closeSync(fd);
        closeSync(directoryFd);
      }
    }
  });

  void test("of a cgroup that was removed", () => {
    for (const tree of trees(mine)) {
      mkdirSync(join(tree.realOwn, "gone"));
      const fd = openSync(join(tree.own, "gone/cgroup.procs"), "r+");
      const directoryFd = openSync(join(tree.own, "gone"), "r");
      try {
        rmdirSync(join(tree.realOwn, "gone"));
        // One of the same name is another.
        mkdirSync(join(tree.realOwn, "gone"));
        const [read, wrote, polled, ...found] = probe.askWith(
          mine,
          [fd, directoryFd],
          [["read", "fd:3"], ["write", "fd:3"], ["poll", "fd:3"], ...inDirectory],
        );
        assert.deepEqual([read, wrote, polled], ["ENODEV", "ENODEV", "ENODEV"]);
        assertAnswers(found, PATH_CALLS, inAbsent, tree.own);
      } finally {
        closeSync(fd);
        closeSync(directoryFd);
        rmdirSync(join(tree.realOwn, "gone"));
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
});
