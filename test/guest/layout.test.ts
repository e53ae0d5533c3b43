/** The machine is what the other suites take it for: layout, controllers, PSI, swap, systemd. */
import assert from "node:assert/strict";
import { readFileSync, statfsSync } from "node:fs";
import { test } from "node:test";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { run } from "../support/run.ts";
import { layout, MACHINE } from "./guest.ts";

/** statfs(2) types, include/uapi/linux/magic.h. */
const TMPFS = 0x01021994;
const CGROUP2 = 0x63677270;

const V1 = ["cpu", "cpuacct", "cpuset", "memory", "blkio", "pids", "freezer", "devices"];

const V2 = ["cpu", "cpuset", "hugetlb", "io", "memory", "misc", "pids", "rdma"];

test("the cgroup layout is the one that was asked for", () => {
  const root = statfsSync("/sys/fs/cgroup").type;
  const hierarchies = mountedHierarchies();
  const v1 = hierarchies.filter(({ version }) => version === 1);
  const v2 = hierarchies.filter(({ version }) => version === 2);
  const controllers = v1.flatMap((hierarchy) => hierarchy.controllers);
  if (layout === "v2") {
    assert.equal(root, CGROUP2);
    assert.deepEqual(v1, []);
    assert.deepEqual(v2[0]?.controllers.toSorted(), V2);
    return;
  }
  assert.equal(root, TMPFS);
  for (const name of V1) assert.ok(controllers.includes(name), `no v1 hierarchy with ${name}`);
  assert.ok(controllers.includes("name=systemd"));
  assert.equal(v2.length, layout === "hybrid" ? 1 : 0);
});

test(
  "children of the root can have the controllers that matter",
  { skip: layout !== "v2" && "v2 only" },
  () => {
    const enabled = readFileSync("/sys/fs/cgroup/cgroup.subtree_control", "utf8").trim().split(" ");
    for (const name of ["cpu", "cpuset", "io", "memory", "pids"])
      assert.ok(enabled.includes(name), name);
  },
);

test("the kernel accounts pressure", () => {
  for (const name of ["cpu", "memory", "io"]) {
    const text = readFileSync(`/proc/pressure/${name}`, "utf8");
    assert.match(text, /^some avg10=\d+\.\d\d avg60=\d+\.\d\d avg300=\d+\.\d\d total=\d+\n/);
  }
});

test("there is swap", () => {
  const swaps = readFileSync("/proc/swaps", "utf8").trim().split("\n").slice(1);
  assert.equal(swaps.length, 1);
  const meminfo = readFileSync("/proc/meminfo", "utf8");
  const total = Number(/^SwapTotal: +(\d+) kB$/m.exec(meminfo)?.[1]);
  assert.ok(Math.abs(total - MACHINE.swapMib * 1024) <= 4, `SwapTotal ${total}`);
});

test("systemd is the init, and has booted without a failure", () => {
  assert.equal(readFileSync("/proc/1/comm", "utf8"), "systemd\n");
  assert.equal(run(["systemctl", "is-system-running"]), "running\n");
  assert.equal(run(["nproc"]), `${MACHINE.cpus}\n`);
});
