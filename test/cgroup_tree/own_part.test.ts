/**
 * Where a caller's own part begins: nothing that is done inside a container makes it wider, and it
 * gives no right to change what the container could only look at.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { run } from "../support/run.ts";
import { type Call, Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

void describe("the own part of the tree", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let outer: Container;
  let inner: string;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    outer = await lab.container();
    inner = outer.cgroups.makeBelow(outer.cgroups.path, "inner");
    outer.cgroups.makeBelow(outer.cgroups.path, "beside");
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, outer));

  /**
   * Calls of a process in the cgroup `inner`, as the first of a pid namespace, after `script` was run
   * in a mount namespace of its own.
   */
  const askNested = (script: string, calls: readonly Call[]): string[] => {
    const nested = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"];
    return probe.askBy(
      ([program = ""], options) =>
        run(
          outer.command([...nested, `set -e\n${script}\nexec "$@"`, "sh", program], inner),
          options,
        ),
      calls,
    );
  };

  void test("a nested container with the outer one's mounts has what these show", () => {
    for (const { own } of trees()) {
      assert.deepEqual(askNested("true", [["stat", join(own, "beside")]]), ["ok"]);
    }
  });

  void test("mounts that are read-only, covered or gone give it nothing", () => {
    for (const tree of trees()) {
      const { own, realTop, realOwn } = tree;
      for (const script of [
        `mount -o remount,bind,ro '${realTop}'`,
        `mount -t tmpfs none '${realTop}'`,
        "mount -t tmpfs none /sys/fs/cgroup",
        "mount --bind /tmp /sys/fs",
        "umount -l /sys/fs/cgroup",
      ]) {
        const found = askNested(script, [
          ["stat", join(own, "inner")],
          ["stat", join(own, "beside")],
          ["mkdir", join(own, "beside/made")],
          ["mkdir", join(own, "made")],
          ["write:0", join(own, "cgroup.procs")],
          ["mkdir", join(own, "inner/made")],
          ["rmdir", join(own, "inner/made")],
        ]);
        const expected = ["ok", "ENOENT", "ENOENT", "EPERM", "ENOENT", "ok", "ok"];
        assert.deepEqual(found, expected, script);
        assert.ok(!existsSync(join(realOwn, "made")));
      }
    }
  });

  void test("namespaces made inside do not widen it", () => {
    for (const { top, own } of trees()) {
      for (const unshare of [
        ["unshare", "--mount"],
        ["unshare", "--cgroup", "--mount"],
        ["unshare", "--user", "--map-root-user", "--mount"],
        ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--cgroup"],
      ]) {
        const found = probe.ask(
          outer,
          [
            ["stat", join(own, "inner")],
            ["stat", join(top, "never-was")],
            ["open-read", join(top, "cgroup.procs")],
            ["write:1", join(own, "cgroup.procs.not")],
          ],
          unshare,
        );
        assert.deepEqual(found, ["ok", "ENOENT", "ENOENT", "ENOENT"], unshare.join(" "));
      }
    }
  });

  void test("a cgroup whose path is longer than the kernel can say", () => {
    // /proc/<pid>/cgroup cuts it off after 4095 bytes: what is left still begins with the own part.
    for (const { own, top } of trees()) {
      const name = "n".repeat(250);
      const script = `
cd '${own}'
for level in $(seq 17); do mkdir ${name} || exit 3; cd -P ${name} || exit 4; done
echo 0 > cgroup.procs || exit 5
ls '${top}'
home='${own}'
[ ! -d "$home/init.scope" ] || home=$home/init.scope
echo 0 > "$home/cgroup.procs" || exit 6
cd '${own}'
for level in $(seq 17); do cd -P ${name} 2>/dev/null || break; done
for level in $(seq 17); do cd -P .. && rmdir ${name} || exit 7; done`;
      // Unlike dash, it says which error a write met.
      const listed = outer.exec(["bash", "-c", script]).trim();
      assert.equal(listed, own.slice(top.length + 1));
      assert.ok(!existsSync(join(own, name)));
    }
  });
});
