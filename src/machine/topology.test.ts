import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CpuQuota } from "../cgroup/types.ts";
import { CPU_POLICIES, parseOwnCpuPolicy, toContainerCpus, topologyOf } from "./topology.ts";

function quotaOf(cpus: number): CpuQuota {
  return { cpus, quotaUs: cpus * 100_000, periodUs: 100_000, file: undefined, levels: 1 };
}

const NO_QUOTA = quotaOf(Infinity);
const ONLINE = [0, 1, 2, 3, 6];

void test("the policy decides what bounds the CPUs", () => {
  const cpus = (policy: "cpuset" | "quota" | "none"): readonly number[] =>
    topologyOf(policy, ONLINE, [1, 3, 6], quotaOf(1.2)).hostCpus;
  assert.deepEqual(cpus("none"), ONLINE);
  assert.deepEqual(cpus("cpuset"), [1, 3, 6]);
  assert.deepEqual(cpus("quota"), [1, 3]);
});

void test("a quota is rounded up, is at least one CPU, and adds none", () => {
  const count = (cpus: number): number =>
    topologyOf("quota", ONLINE, [0, 1], quotaOf(cpus)).hostCpus.length;
  assert.deepEqual([0.01, 0.5, 1, 1.01, 2, 64, Infinity].map(count), [1, 1, 1, 2, 2, 2, 2]);
});

void test("a quota below the CPUs lets them stand for none of the host's in particular", () => {
  assert.equal(topologyOf("quota", ONLINE, [0, 1], quotaOf(1)).pinned, false);
  assert.equal(topologyOf("quota", ONLINE, [0, 1], quotaOf(2)).pinned, true);
  assert.equal(topologyOf("cpuset", ONLINE, [0, 1], quotaOf(1)).pinned, true);
});

void test("a container's own number is taken of its cpuset, and adds none", () => {
  const cpus = (text: string): readonly number[] =>
    topologyOf(parseOwnCpuPolicy(text) ?? "none", ONLINE, [1, 3, 6], quotaOf(1)).hostCpus;
  assert.deepEqual(cpus("cpus=2"), [1, 3]);
  assert.deepEqual(cpus("cpus=9"), [1, 3, 6]);
  assert.equal(topologyOf(2, ONLINE, [1, 3, 6], NO_QUOTA).pinned, false);
  for (const text of ["cpus=0", "cpus=", "cpus=1.5", "cpus=-1", "2", ""])
    assert.equal(parseOwnCpuPolicy(text), undefined, text);
});

void test("CPUs that went offline, and a cpuset of nothing else", () => {
  assert.deepEqual(topologyOf("cpuset", ONLINE, [3, 4, 5], NO_QUOTA).hostCpus, [3]);
  assert.deepEqual(topologyOf("cpuset", ONLINE, [4, 5], NO_QUOTA).hostCpus, ONLINE);
  assert.deepEqual(topologyOf("cpuset", ONLINE, [], NO_QUOTA).hostCpus, ONLINE);
  assert.deepEqual(topologyOf("cpuset", ONLINE, undefined, NO_QUOTA).hostCpus, ONLINE);
});

void test("lists of the host's CPUs are told in the container's numbers", () => {
  const topology = topologyOf("cpuset", ONLINE, [1, 3, 6], NO_QUOTA);
  assert.deepEqual(toContainerCpus(topology, [0, 1, 2, 3]), [0, 1]);
  assert.deepEqual(toContainerCpus(topology, [6]), [2]);
  assert.deepEqual(toContainerCpus(topology, [0]), []);
});

void test("there is always a CPU, each once, in order, and all of them online", () => {
  const list = fc.uniqueArray(fc.integer({ min: 0, max: 30 }));
  fc.assert(
    fc.property(
      fc.constantFrom(...CPU_POLICIES, 1, 2, 40),
      fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { minLength: 1 }),
      fc.option(list, { nil: undefined }),
      fc.oneof(fc.double({ min: 0.001, max: 1000, noNaN: true }), fc.constant(Infinity)),
      (policy, online, cpuset, cpus) => {
        const sorted = online.toSorted((a, b) => a - b);
        const own = cpuset?.toSorted((a, b) => a - b);
        const { hostCpus } = topologyOf(policy, sorted, own, quotaOf(cpus));
        assert.ok(hostCpus.length > 0);
        assert.deepEqual(
          [...new Set(hostCpus)].toSorted((a, b) => a - b),
          [...hostCpus],
        );
        for (const cpu of hostCpus) assert.ok(online.includes(cpu));
        const known = own?.filter((cpu) => online.includes(cpu)) ?? [];
        if (policy !== "none" && known.length > 0) assert.ok(hostCpus.length <= known.length);
        if (policy === "quota") assert.ok(hostCpus.length <= Math.max(1, Math.ceil(cpus)));
      },
    ),
  );
});
