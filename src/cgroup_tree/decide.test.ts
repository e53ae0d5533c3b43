import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  armsTrigger,
  isContained,
  isDelegatable,
  isOfTheServer,
  movesWhat,
  ownRootOf,
  parsePid,
  type Place,
  standingOf,
  V2_DELEGATABLE,
} from "./decide.ts";

const at = (path: string, ...roots: string[]): Place => ({
  path,
  mounts: { seen: roots, writable: roots },
});

test("where a caller's own part begins", () => {
  const cases: [Place, Place | undefined, boolean, string][] = [
    // A cgroup namespace: its root is mounted.
    [at("/c1/service", "/c1"), at("/c1", "/c1"), false, "/c1"],
    [at("/c1/service", "/", "/c1"), at("/c1", "/", "/c1"), false, "/c1"],
    // Without: the cgroup of the init, which systemd leaves for init.scope.
    [at("/c1/service"), at("/c1"), false, "/c1"],
    [at("/c1/a.service", "/"), at("/c1/init.scope", "/"), false, "/c1"],
    [at("/lxc.payload.c1"), at("/lxc.payload.c1/init.scope"), false, "/lxc.payload.c1"],
    // A container in a container that lost its mounts does not get the outer one's part.
    [
      at("/docker-0123456789ab.scope/in"),
      at("/docker-0123456789ab.scope/in"),
      false,
      "/docker-0123456789ab.scope/in",
    ],
    // A pod's shared pid namespace: the init is the neighbour.
    [at("/pod/b"), at("/pod/a"), false, "/pod/b"],
    [at("/pod/b", "/pod/b"), at("/pod/a", "/pod/a"), false, "/pod/b"],
    [at("/c10"), at("/c1"), false, "/c10"],
    // Entered by its namespaces, still in the host's cgroup.
    [at("/"), at("/c1"), true, "/c1"],
    [at("/user.slice"), at("/c1/app", "/c1"), true, "/c1"],
    [at("/"), at("/c1"), false, "/"],
    // In the root's cgroup nothing is its own.
    [at("/"), at("/"), false, "/"],
    [at("/init.scope"), at("/init.scope"), false, "/init.scope"],
    // In the host's pid namespace.
    [at("/docker/0123/x"), undefined, false, "/docker/0123"],
    [at("/some/service", "/some"), undefined, false, "/some"],
  ];
  for (const [caller, init, entered, expected] of cases) {
    assert.equal(ownRootOf(caller, init, entered), expected, JSON.stringify([caller, init]));
  }
  assert.ok(isContained(at("/docker/0123/x")));
  assert.ok(isContained(at("/a/b", "/a")));
  assert.ok(!isContained(at("/system.slice/cron.service", "/")));
});

const name = fc.constantFrom("a", "b", "init.scope", "docker-0123456789ab.scope", "lxc.payload.x");
const path = fc.array(name, { maxLength: 5 }).map((names) => `/${names.join("/")}`);
const isAtOrAbove = (above: string, below: string): boolean =>
  above === "/" || below === above || below.startsWith(`${above}/`);

test("a caller's own part is never wider than what it can name: a mount it has, or a cgroup it or its init is in", () => {
  fc.assert(
    fc.property(path, fc.array(path, { maxLength: 3 }), path, (own, roots, led) => {
      const root = ownRootOf(at(own, ...roots), at(led), false);
      assert.ok(isAtOrAbove(root, own), `${root} holds ${own}`);
      const known =
        root === own ||
        root === led ||
        `${root}/init.scope` === led ||
        (root !== "/" && roots.includes(root));
      assert.ok(known, `${root} is known of ${own}, ${roots.join()}, ${led}`);
    }),
  );
});

/** A tree by parents: node n (from 1 on) hangs below `parents[n - 1] % n`; node 0 is the topmost. */
const parents = fc.array(fc.nat(), { minLength: 1, maxLength: 30 });

test("standing: own, below, ancestor with the next step, foreign", () => {
  fc.assert(
    fc.property(parents, fc.nat(), fc.nat(), (given, first, second) => {
      const parentOf = (id: number): number | undefined =>
        id === 0 ? undefined : (given[id - 1] ?? 0) % id;
      const [id, rootId] = [first % (given.length + 1), second % (given.length + 1)];
      const chain = (of: number): number[] => {
        const up = parentOf(of);
        return up === undefined ? [of] : [of, ...chain(up)];
      };
      const stands = standingOf(id, rootId, 0, parentOf);
      const [above, below] = [chain(rootId), chain(id)];
      if (id === rootId) assert.deepEqual(stands, { is: "own" });
      else if (above.includes(id)) {
        assert.deepEqual(stands, { is: "ancestor", step: above[above.indexOf(id) - 1] });
      } else if (below.includes(rootId)) assert.deepEqual(stands, { is: "below" });
      else assert.deepEqual(stands, { is: "foreign" });
    }),
  );
});

test("without a cgroup of its own a caller sees an empty top and nothing else", () => {
  const parentOf = (id: number): number | undefined => (id === 1 ? undefined : 1);
  assert.deepEqual(standingOf(1, undefined, 1, parentOf), { is: "ancestor", step: undefined });
  assert.deepEqual(standingOf(2, undefined, 1, parentOf), { is: "foreign" });
});

test("a cgroup whose parents can't be found is foreign", () => {
  assert.deepEqual(
    standingOf(7, 5, 1, () => undefined),
    { is: "foreign" },
  );
});

test("limits of the own cgroup are not delegated; where processes are, is", () => {
  for (const file of ["tasks", "cgroup.procs"]) assert.ok(isDelegatable(1, file, V2_DELEGATABLE));
  for (const file of ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"]) {
    assert.ok(isDelegatable(2, file, V2_DELEGATABLE));
  }
  const v1 = "memory.limit_in_bytes cpu.cfs_quota_us devices.allow cpuset.cpus release_agent";
  for (const file of v1.split(" ")) assert.ok(!isDelegatable(1, file, V2_DELEGATABLE), file);
  const v2 = "memory.max cpu.max cgroup.freeze cgroup.kill cgroup.max.depth pids.max tasks";
  for (const file of v2.split(" ")) assert.ok(!isDelegatable(2, file, V2_DELEGATABLE), file);
});

test("files by what they do", () => {
  assert.equal(movesWhat("cgroup.procs"), "process");
  assert.equal(movesWhat("tasks"), "thread");
  assert.equal(movesWhat("cgroup.threads"), "thread");
  assert.equal(movesWhat("pids.max"), undefined);
  assert.ok(isOfTheServer("cgroup.event_control"));
  assert.ok(armsTrigger("memory.pressure") && !armsTrigger("cgroup.pressure"));
});

test("numbers of processes", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["17\n", 17],
    [" 17 ", 17],
    ["+3", 3],
    ["", undefined],
    ["-1", undefined],
    ["1 2", undefined],
    ["0x10", 16],
    ["010", 8],
    ["08", undefined],
    ["-0", 0],
    ["0x", undefined],
    ["1e3", undefined],
    ["2147483647", 2147483647],
    ["2147483648", undefined],
    ["99999999999", undefined],
  ];
  for (const [text, pid] of cases) assert.equal(parsePid(text), pid, text);
});
