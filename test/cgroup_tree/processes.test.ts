/**
 * A process manager in a container: groups of its own, its children moved into them, their
 * statistics; and the processes it may not move.
 */
import assert from "node:assert/strict";
import { chownSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { waitFor } from "../support/wait.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

const USER_BASE = 500_000;

/** What a process manager does with one service; $1 is its own cgroup in the tree. */
const MANAGER = `
set -e
cd "$1"
mkdir service
sleep 1000 & child=$!
echo $child > service/cgroup.procs
[ "$(cat service/cgroup.procs)" = $child ]
grep -q "/service$" /proc/$child/cgroup
mkdir service/deeper
echo $child > service/deeper/cgroup.procs
[ -z "$(cat service/cgroup.procs)" ]
[ "$(cat service/deeper/cgroup.procs)" = $child ]
rmdir service 2>/dev/null && exit 9
kill -9 $child; wait $child || :
while ! rmdir service/deeper 2>/dev/null; do sleep 0.01; done
rmdir service
[ ! -e service ]
`;

/** As root of a user namespace with files of its own: limits and statistics of a service. */
const MEMORY_MANAGER = `
set -e
cd "$1"
mkdir limited
echo 8388608 > limited/memory.limit_in_bytes
[ "$(cat limited/memory.limit_in_bytes)" = 8388608 ]
sh -c 'echo 0 > limited/cgroup.procs; head -c 2000000 /dev/zero | tail -c 1 >/dev/null'
[ "$(cat limited/memory.max_usage_in_bytes)" -gt 0 ]
rmdir limited
`;

/**
 * The same on v2, where a group has processes or children with controllers, never both: the manager
 * makes room first, itself included. $2 and $3 are a controller and a limit of it.
 */
const UNIFIED_MANAGER = `
set -e
cd "$1"
while read pid; do echo $pid > init.scope/cgroup.procs 2>/dev/null || :; done < cgroup.procs
[ -z "$(cat cgroup.procs)" ]
echo "+$2" > cgroup.subtree_control
grep -qw "$2" cgroup.subtree_control
mkdir service
echo 8388608 > "service/$3"
[ "$(cat "service/$3")" = 8388608 ]
sh -c 'echo 0 > service/cgroup.procs; head -c 2000000 /dev/zero | tail -c 1 >/dev/null
  cat service/cgroup.procs' | grep -q .
[ ! -e service/memory.current ] || [ "$(grep -c . service/memory.stat)" -gt 10 ]
grep -q 'usage_usec [1-9]' service/cpu.stat
grep -q 'populated 0' service/cgroup.events
rmdir service
`;

void describe("processes in the cgroup tree", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  let mapped: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
    mapped = await lab.container({ userBase: USER_BASE });
    delegate(mapped);
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  /** As LXC delegates: the directory and the files that move processes, no limits. */
  const delegate = (container: Container): void => {
    for (const tree of trees(container)) {
      chownSync(tree.realOwn, USER_BASE, USER_BASE);
      for (const name of ["cgroup.procs", "tasks", "cgroup.threads", "cgroup.subtree_control"]) {
        const file = join(tree.realOwn, name);
        if (existsSync(file)) chownSync(file, USER_BASE, USER_BASE);
      }
    }
  };

  const trees = (container: Container): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, container));

  void test("a manager makes groups, moves its children, removes the groups", () => {
    for (const container of [mine, mapped]) {
      for (const tree of trees(container)) {
        container.exec(["sh", "-c", MANAGER, "sh", tree.own]);
        assert.ok(!existsSync(join(tree.realOwn, "service")));
      }
    }
  });

  void test("a new group and its files belong to who made it", () => {
    for (const tree of trees(mapped)) {
      mapped.exec(["sh", "-c", `umask 0; mkdir -m 0711 '${tree.own}/made'`]);
      const stat = [
        "stat",
        "-c",
        "%U %a",
        join(tree.own, "made"),
        join(tree.own, "made/cgroup.procs"),
      ];
      assert.equal(mapped.exec(stat).split("\n")[0], "root 711");
      assert.equal(mapped.exec(stat).split("\n")[1], "root 644");
      mapped.exec(["rmdir", join(tree.own, "made")]);
    }
  });

  void test("root of a user namespace gives groups away to mapped users only", () => {
    for (const tree of trees(mapped)) {
      const made = join(tree.own, "given");
      mapped.exec(["mkdir", made]);
      mapped.exec(["chown", "33:33", made]);
      assert.equal(mapped.exec(["stat", "-c", "%u", made]).trim(), "33");
      // It still has its way with what is mapped.
      mapped.exec(["mkdir", join(made, "below")]);
      assert.equal(mapped.exec(["stat", "-c", "%u", join(made, "below")]).trim(), "0");
      mapped.exec(["rmdir", join(made, "below")]);
      mapped.exec(["chmod", "700", made]);
      assert.equal(mapped.tryExec(["chown", "70000", made]).status, 1);
      mapped.exec(["rmdir", made]);
    }
  });

  void test(
    "limits and statistics of a service",
    { skip: !hierarchyNames().includes("memory") },
    () => {
      const tree = treeOf(lab.server.mountpoint, "memory", mapped);
      mapped.exec(["sh", "-c", MEMORY_MANAGER, "sh", tree.own]);
      assert.equal(
        mapped.tryExec(["sh", "-c", `echo 1M > '${tree.own}/memory.limit_in_bytes'`]).status,
        2,
      );
    },
  );

  void test(
    "room for controllers, limits and statistics of a service on v2",
    { skip: !hierarchyNames().includes("unified") },
    async () => {
      const fresh = await lab.container({ userBase: USER_BASE });
      delegate(fresh);
      const tree = treeOf(lab.server.mountpoint, "unified", fresh);
      const had = readFileSync(join(tree.realOwn, "cgroup.controllers"), "latin1")
        .trim()
        .split(" ");
      const [controller, limit] = had.includes("memory")
        ? ["memory", "memory.max"]
        : ["hugetlb", "hugetlb.2MB.max"];
      assert.ok(had.includes(controller), `${controller} among ${had.join(" ")}`);
      // Whoever enters from outside goes there from now on; what started the container, which it does
      // not see, must not stay either.
      fresh.exec(["mkdir", join(tree.own, "init.scope")]);
      for (const pid of readFileSync(join(tree.realOwn, "cgroup.procs"), "latin1").split("\n")) {
        if (pid === "" || Number(pid) === fresh.initPid) continue;
        writeFileSync(join(tree.realOwn, "init.scope/cgroup.procs"), pid);
      }
      fresh.exec(["sh", "-c", UNIFIED_MANAGER, "sh", tree.own, controller, limit]);
    },
  );

  void test(
    "delegation, freezing and killing on v2",
    { skip: !hierarchyNames().includes("unified") },
    () => {
      const tree = treeOf(lab.server.mountpoint, "unified", mapped);
      const script = `
set -e
cd "$1"
mkdir service
sleep 1000 & child=$!
echo $child > service/cgroup.procs
cat service/cgroup.subtree_control cgroup.controllers > /dev/null
echo > service/cgroup.subtree_control
echo 1 > service/cgroup.freeze
while ! grep -q "frozen 1" service/cgroup.events; do sleep 0.01; done
echo 0 > service/cgroup.freeze
echo 3 > service/cgroup.max.descendants
[ "$(cat service/cgroup.max.descendants)" = 3 ]
echo $child > service/cgroup.threads
echo 1 > service/cgroup.kill
wait $child || [ $? = 137 ]
while ! rmdir service 2>/dev/null; do sleep 0.01; done
`;
      mapped.exec(["sh", "-c", script, "sh", tree.own]);
    },
  );

  void test("processes are numbered as the reader's pid namespace numbers them", () => {
    for (const tree of trees(mine)) {
      const file = join(tree.own, "cgroup.procs");
      const pids = mine
        .exec(["sh", "-c", `cat '${file}'; echo "self $$"`])
        .trim()
        .split("\n");
      assert.ok(pids.includes("1"), "the container's init");
      const self = pids.find((line) => line.startsWith("self "))?.slice(5) ?? "";
      assert.ok(pids.includes(self), `${self} among ${pids.join(",")}`);
      for (const pid of pids.slice(0, -1)) assert.ok(Number(pid) < 100_000 && Number(pid) > 0);
      // The host sees the host's numbers of the same file.
      const host = readFileSync(file, "utf8").trim().split("\n").map(Number);
      assert.ok(host.includes(mine.initPid));
    }
  });

  void test("a process that is not visible can't be moved, nor one that was not taken from the own part", async () => {
    const sidecar = await lab.container({ pidNamespaceOf: mine.initPid });
    for (const tree of trees(sidecar)) {
      const group = join(tree.own, "stolen");
      sidecar.exec(["mkdir", group]);
      const procs = join(group, "cgroup.procs");
      const answers = probe.ask(sidecar, [
        // The other container's init, visible in the shared pid namespace.
        ["write:1", procs],
        ["write:4194303", procs],
        ["write:-1", procs],
        ["write:1x", procs],
        ["write:0", procs],
      ]);
      assert.deepEqual(answers, [
        tree.name === "unified" ? "ENOENT" : "EACCES",
        "ESRCH",
        "EINVAL",
        "EINVAL",
        "ok",
      ]);
      await waitFor("the probe has gone", () => sidecar.tryExec(["rmdir", group]).status === 0);
    }
    assert.ok(readFileSync(`/proc/${mine.initPid}/cgroup`, "utf8").includes(mine.cgroups.path));
  });

  void test("an unprivileged user moves its own processes only, into its own groups only", () => {
    for (const tree of trees(mapped)) {
      const group = join(tree.own, "users");
      mapped.exec(["mkdir", group]);
      mapped.exec(["chown", "1000:1000", group, join(group, "cgroup.procs")]);
      const user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
      const procs = join(group, "cgroup.procs");
      const [init, below, above] = probe.ask(
        mapped,
        [
          ["write:1", procs],
          ["mkdir", join(group, "below")],
          ["write:0", join(tree.own, "cgroup.procs")],
        ],
        user,
      );
      assert.equal(init, "EACCES");
      assert.equal(below, "ok");
      assert.equal(above, "EACCES");
      mapped.exec(["rmdir", join(group, "below")]);
      mapped.exec(["rmdir", group]);
    }
  });
});
