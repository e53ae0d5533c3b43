/** The tree: every name leads to one number, and every number back to that name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { DIRECTORIES, VIEWS } from "./index.ts";
import { childOf, childrenOf, cpuLinkOf, isVariable, itemOf, ROOT, type Presence } from "./tree.ts";

const PRESENCE: Presence = { cpuCount: 3, nodes: [0, 2] };

/** All paths below a directory, with their numbers. */
function* walk(local: number): Generator<[string, number]> {
  for (const [name, child] of childrenOf(local, PRESENCE)) {
    assert.equal(childOf(local, name, PRESENCE), child, name);
    const item = itemOf(child);
    assert.ok(item, `${name} has the number ${child}, which means nothing`);
    yield [item.path, child];
    if (item.kind === "directory") yield* walk(child);
  }
}

const found = new Map(walk(ROOT));

void test("no number twice, no path twice", () => {
  const numbers = [...walk(ROOT)].map(([, local]) => local);
  assert.equal(new Set(numbers).size, numbers.length);
  assert.equal(found.size, numbers.length);
});

void test("numbers of views and directories are what they were: they live in the kernel's caches", () => {
  const numbers = Object.fromEntries([...VIEWS, ...DIRECTORIES].map((each) => [each.path, each.local])); // prettier-ignore
  assert.deepEqual(
    [
      numbers["proc/meminfo"],
      numbers["proc/stat"],
      numbers["proc/uptime"],
      numbers["proc/loadavg"],
    ],
    [32, 33, 34, 35],
  );
  assert.deepEqual([numbers["proc"], numbers["sys/devices/system/cpu"], numbers["containers"]], [2, 7, 9]); // prettier-ignore
});

void test("CPUs and nodes that are not there have no names", () => {
  assert.ok(found.has("sys/devices/system/cpu/cpu2"));
  assert.ok(!found.has("sys/devices/system/cpu/cpu3"));
  assert.ok(found.has("sys/devices/system/node/node2"));
  assert.ok(!found.has("sys/devices/system/node/node1"));
  const cpus = found.get("sys/devices/system/cpu") ?? 0;
  for (const name of ["cpu3", "cpu-1", "cpu01", "cpu", "cpu1x", "cpu99999", "node0", ""]) {
    assert.equal(childOf(cpus, name, PRESENCE), undefined, name);
  }
});

void test("what depends on whose it is, says so", () => {
  for (const path of ["sys/devices/system/cpu", "sys/devices/system/cpu/cpu0"]) {
    assert.ok(isVariable(found.get(path) ?? 0), path);
  }
  for (const path of ["proc", "proc/pressure", "sys"]) {
    assert.ok(!isVariable(found.get(path) ?? 0), path);
  }
});

void test("a node's links to CPUs", () => {
  const item = itemOf(cpuLinkOf(2, 700));
  assert.equal(item?.kind, "link");
  assert.equal(item?.path, "sys/devices/system/node/node2/cpu700");
});

void test("numbers that never were mean nothing", () => {
  for (const local of [0, 31, 127, 510, 512 * 3 + 511, 2 ** 20 + 63]) {
    assert.equal(itemOf(local), undefined, String(local));
  }
});
