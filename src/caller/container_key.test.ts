import assert from "node:assert/strict";
import { test } from "node:test";
import type { Hierarchy } from "../cgroup/types.ts";
import {
  containerKey,
  identityHierarchies,
  keyToName,
  nameToKey,
  splitKey,
} from "./container_key.ts";

const unified: Hierarchy = {
  version: 2,
  controllers: [],
  mountPoint: "/sys/fs/cgroup",
  mountRoot: "/",
};
const memory: Hierarchy = { version: 1, controllers: ["memory"], mountPoint: "/m", mountRoot: "/" };
const cpu: Hierarchy = {
  version: 1,
  controllers: ["cpu", "cpuacct"],
  mountPoint: "/c",
  mountRoot: "/",
};
const freezer: Hierarchy = {
  version: 1,
  controllers: ["freezer"],
  mountPoint: "/f",
  mountRoot: "/",
};

test("keys and names lead back to each other", () => {
  for (const [hierarchy, id, name] of [
    [unified, 14210, "14210"],
    [memory, 812, "memory-812"],
    [cpu, 2 ** 38, `cpu-${2 ** 38}`],
  ] as const) {
    const key = containerKey(hierarchy, id);
    assert.ok(key !== undefined && key < 2 ** 42);
    assert.equal(keyToName(key), name);
    assert.equal(nameToKey(name), key);
    assert.deepEqual(splitKey(key, [unified, memory, cpu]), { hierarchy, cgroupId: id });
  }
});

test("the same id in two hierarchies makes two keys", () => {
  assert.notEqual(containerKey(unified, 5), containerKey(memory, 5));
});

test("what is no name of a container is none", () => {
  for (const name of [
    "",
    "0",
    "-1",
    "x",
    "memory-",
    "memory-0",
    "nothing-5",
    "1e3",
    "99999999999999",
  ]) {
    assert.equal(nameToKey(name), undefined, name);
  }
  assert.equal(containerKey(unified, 2 ** 39), undefined);
  assert.equal(containerKey(freezer, 5), undefined);
});

test("v1 controllers come before a unified tree that has none", () => {
  assert.deepEqual(identityHierarchies([unified, freezer, cpu, memory]), [memory, cpu, unified]);
});
