/**
 * Users that are not what they seem: user namespaces with odd maps, nested ones, root without its
 * capabilities, a filesystem id of its own. What each may do is what the kernel's own rules for
 * owner, mode and capabilities say, on real cgroups.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { type Call, Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

void describe("odd users", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, mine));

  /** A group of the container, made on the host, that belongs to `uid` and `gid`, its files, too. */
  const given = (tree: Tree, name: string, uid: number, gid: number): string => {
    const real = join(tree.realOwn, name);
    mkdirSync(real);
    chownSync(real, uid, gid);
    chownSync(join(real, "cgroup.procs"), uid, gid);
    return join(tree.own, name);
  };

  /** Calls as `uid` of a user namespace with these maps, made in the container. */
  const askMapped = async (map: string, calls: readonly Call[], uid = 0): Promise<string[]> => {
    const holder = spawn("unshare", ["--user", "sleep", "infinity"], { stdio: "ignore" });
    try {
      const space = `/proc/${holder.pid}/ns/user`;
      const own = readlinkSync("/proc/self/ns/user");
      await waitFor("the user namespace is made", () => readlinkSync(space) !== own);
      writeFileSync(`/proc/${holder.pid}/uid_map`, map);
      writeFileSync(`/proc/${holder.pid}/gid_map`, map);
      const enter = ["nsenter", "-t", String(mine.initPid), "-m", "-C", "-p", `--user=${space}`];
      const become = ["-S", String(uid), "-G", String(uid), "--"];
      const join = `set -e\n${mine.cgroups.joinScript()}\nexec "$@"`;
      return probe.askBy(
        (argv, options) => run(["sh", "-c", join, "sh", ...enter, ...become, ...argv], options),
        calls,
      );
    } finally {
      holder.kill("SIGKILL");
    }
  };

  const callsOn = (group: string): Call[] => [
    ["mkdir", join(group, "made")],
    ["rmdir", join(group, "made")],
    ["open-write", join(group, "cgroup.procs")],
    ["chmod", group],
  ];
  const ALL = ["ok", "ok", "ok", "ok"];
  const NOTHING = ["EACCES", "ENOENT", "EACCES", "EPERM"];

  void test("a map with gaps: root has what is mapped, and nothing in between", async () => {
    // 0-999 and 2000-2009 inside; of the host 500000-500999 and 600000-600009.
    const map = "0 500000 1000\n2000 600000 10\n";
    const cases: [string, number, number, string[]][] = [
      ["own", 500_000, 500_000, ALL],
      ["mapped", 600_005, 500_001, ALL],
      ["beyond", 501_000, 500_000, NOTHING],
      ["gap", 600_010, 500_000, NOTHING],
      ["group-not-mapped", 500_005, 501_000, NOTHING],
      ["of-the-host", 0, 0, NOTHING],
    ];
    for (const tree of trees()) {
      for (const [name, uid, gid, expected] of cases) {
        const group = given(tree, name, uid, gid);
        assert.deepEqual(await askMapped(map, callsOn(group)), expected, `${tree.name} ${name}`);
        rmdirSync(join(tree.realOwn, name));
      }
    }
  });

  void test("the host's root mapped: no more than its own container's part, and no host capability", async () => {
    const map = "0 0 4294967295\n";
    for (const tree of trees()) {
      const group = given(tree, "roots", 0, 0);
      const devices = treeOf(lab.server.mountpoint, "devices", mine);
      const found = await askMapped(map, [
        ...callsOn(group),
        ["stat", join(tree.top, "never-was")],
        ["mkdir", join(tree.top, "made")],
        ["chmod", join(tree.own, "cgroup.stat")],
        ["write:a", join(devices.own, "devices.allow")],
      ]);
      // Above the container nothing is writable, whoever's it is.
      const expected = [...ALL, "ENOENT", "EPERM", "EPERM"];
      assert.deepEqual(found.slice(0, 4), expected.slice(0, 4));
      assert.equal(found[4], "ENOENT");
      assert.match(found[5] ?? "", /^(EPERM|EACCES)$/);
      assert.match(found[6] ?? "", /^(EPERM|ENOENT)$/);
      assert.match(found[7] ?? "", /^(EPERM|ENOENT)$/);
      rmdirSync(join(tree.realOwn, "roots"));
    }
  });

  void test(
    "devices.allow asks for a capability of the host: root of a user namespace has none",
    { skip: !existsSync("/sys/fs/cgroup/devices") && "no v1 hierarchy of devices here" },
    async () => {
      const tree = treeOf(lab.server.mountpoint, "devices", mine);
      const group = given(tree, "below", 0, 0);
      const file = join(group, "devices.deny");
      const deny: Call[] = [["write:a", file]];
      assert.deepEqual(await askMapped("0 0 4294967295\n", deny), ["EPERM"]);
      const without = ["setpriv", "--bounding-set", "-sys_admin", "--"];
      assert.deepEqual(probe.ask(mine, deny, without), ["EPERM"]);
      assert.deepEqual(probe.ask(mine, deny), ["ok"]);
      rmdirSync(join(tree.realOwn, "below"));
    },
  );

  void test("an unprivileged user that made itself root of a namespace is still that user", async () => {
    const map = "0 1000 1\n";
    for (const tree of trees()) {
      const own = given(tree, "own", 1000, 1000);
      const other = given(tree, "other", 1001, 1001);
      assert.deepEqual(await askMapped(map, callsOn(own)), ALL, tree.name);
      assert.deepEqual(await askMapped(map, callsOn(other)), NOTHING, tree.name);
      for (const name of ["own", "other"]) rmdirSync(join(tree.realOwn, name));
    }
  });

  void test("who is not root in its namespace has no capability there either", async () => {
    const map = "0 500000 65536\n";
    for (const tree of trees()) {
      const own = given(tree, "own", 500_033, 500_033);
      const roots = given(tree, "roots", 500_000, 500_000);
      assert.deepEqual(await askMapped(map, callsOn(own), 33), ALL, tree.name);
      assert.deepEqual(await askMapped(map, callsOn(roots), 33), NOTHING, tree.name);
      for (const name of ["own", "roots"]) rmdirSync(join(tree.realOwn, name));
    }
  });

  void test("root without CAP_DAC_OVERRIDE and CAP_FOWNER has what it owns", () => {
    const without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner", "--"];
    for (const tree of trees()) {
      const group = given(tree, "others", 1000, 1000);
      assert.deepEqual(probe.ask(mine, callsOn(group), without), NOTHING);
      assert.deepEqual(probe.ask(mine, callsOn(group)), ALL);
      rmdirSync(join(tree.realOwn, "others"));
    }
  });

  void test("the filesystem id decides, not the effective one", () => {
    for (const tree of trees()) {
      const group = given(tree, "users", 1000, 1000);
      const [, made, , roots] = probe.ask(mine, [
        ["as:1000", "-"],
        ["mkdir", join(group, "made")],
        ["rmdir", join(group, "made")],
        ["mkdir", join(tree.own, "made")],
      ]);
      assert.deepEqual([made, roots], ["ok", "EACCES"]);
      rmdirSync(join(tree.realOwn, "users"));
    }
  });

  void test("who makes a group in one that was given away does not take that back", async () => {
    const map = "0 500000 65536\n";
    for (const tree of trees()) {
      const group = given(tree, "given", 500_033, 500_033);
      assert.deepEqual(await askMapped(map, [["mkdir", join(group, "made")]]), ["ok"]);
      const owner = (path: string): string => mine.exec(["stat", "-c", "%u:%g", path]).trim();
      assert.equal(owner(group), "500033:500033");
      assert.equal(owner(join(group, "made")), "500000:500000");
      rmdirSync(join(tree.realOwn, "given/made"));
      rmdirSync(join(tree.realOwn, "given"));
    }
  });
});
