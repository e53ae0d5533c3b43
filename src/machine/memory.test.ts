/** What holds of every memory file, whatever the kernel says; and each formula once, by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { MemoryReading, MemoryStat } from "../cgroup/types.ts";
import { meminfoFields, swapOf, type HostMemory } from "./memory.ts";

const MIB = 1 << 20;
const POLICY = { showSwap: true, showZswap: true };

const STAT_FIELDS = [
  "anon",
  "file",
  "activeAnon",
  "inactiveAnon",
  "activeFile",
  "inactiveFile",
  "unevictable",
  "shmem",
  "fileMapped",
  "fileDirty",
  "fileWriteback",
  "anonThp",
  "fileThp",
  "shmemThp",
  "swapCached",
  "slabReclaimable",
  "slabUnreclaimable",
  "kernelStack",
  "pageTables",
  "secPageTables",
  "percpu",
  "sock",
  "vmalloc",
  "kernel",
  "zswap",
  "zswapped",
] as const;

function statOf(values: Partial<Record<(typeof STAT_FIELDS)[number], number>>): MemoryStat {
  const zeros = Object.fromEntries(STAT_FIELDS.map((name) => [name, 0]));
  return { ...(zeros as unknown as MemoryStat), ...values, events: new Map() };
}

interface Given {
  readonly limit?: number;
  readonly usage?: number;
  readonly swapLimit?: number;
  readonly swapUsage?: number;
  readonly swapAccounted?: boolean;
  readonly swappiness?: number;
  readonly stat?: Partial<Record<(typeof STAT_FIELDS)[number], number>>;
}

function readingOf(given: Given): MemoryReading {
  const limit = (value: number): MemoryReading["limit"] => ({ value, file: undefined, levels: 1 });
  return {
    limit: limit(given.limit ?? Infinity),
    usageBytes: given.usage ?? 0,
    stat: statOf(given.stat ?? {}),
    swapAccounted: given.swapAccounted ?? true,
    swapLimit: limit(given.swapLimit ?? Infinity),
    swapUsageBytes: given.swapUsage ?? 0,
    swappiness: given.swappiness,
  };
}

function hostOf(kib: Readonly<Record<string, number>>): HostMemory {
  return (field) => (kib[field] === undefined ? undefined : kib[field] * 1024);
}

const HOST = hostOf({
  MemTotal: 8 << 20,
  SwapTotal: 1 << 20,
  Mlocked: 64,
  CommitLimit: (4 << 20) + (1 << 20),
});

function fieldsOf(given: Given, host = HOST): (name: string) => number {
  const fields = meminfoFields(readingOf(given), host, POLICY);
  return (name) => fields.get(name) ?? Number.NaN;
}

void test("free is what the limit leaves, available is that and what can be reclaimed", () => {
  const get = fieldsOf({
    limit: 512 * MIB,
    usage: 200 * MIB,
    stat: {
      file: 60 * MIB,
      activeFile: 30 * MIB,
      inactiveFile: 20 * MIB,
      shmem: 10 * MIB,
      slabReclaimable: 5 * MIB,
    },
  });
  assert.equal(get("MemTotal"), 512 * MIB);
  assert.equal(get("MemFree"), 312 * MIB);
  assert.equal(get("MemAvailable"), 367 * MIB);
  assert.equal(get("Cached"), 60 * MIB);
  assert.equal(get("Shmem"), 10 * MIB);
});

void test("no limit, one of 0, one above the host's memory: the host's memory", () => {
  for (const limit of [Infinity, 0, 2 ** 60]) {
    assert.equal(fieldsOf({ limit })("MemTotal"), 8 * 1024 * MIB);
  }
});

void test("the commit limit is whole percents of whole pages, as the kernel's is", () => {
  // 50 % of 512 MiB; the host's own figure is rounded to pages and must not show through.
  const host = hostOf({ MemTotal: 24_684_084, CommitLimit: 12_342_040, SwapTotal: 0 });
  assert.equal(fieldsOf({ limit: 512 * MIB }, host)("CommitLimit"), 256 * MIB);
});

void test("v1 tells the kernel's memory as one sum: it is shown, and only once", () => {
  const v1 = fieldsOf({ stat: { kernel: 3 * MIB } });
  assert.equal(v1("Slab"), 3 * MIB);
  assert.equal(v1("SUnreclaim"), 3 * MIB);
  assert.equal(v1("SReclaimable"), 0);
  const v2 = fieldsOf({ stat: { kernel: 3 * MIB, slabUnreclaimable: MIB, kernelStack: MIB } });
  assert.equal(v2("Slab"), MIB);
  assert.equal(v2("KernelStack"), MIB);
});

void test("slabs, which v2 tells by the byte, add up in KiB", () => {
  const v2 = fieldsOf({ stat: { slabReclaimable: 5000, slabUnreclaimable: 9000 } });
  const shownKib = (field: string): number => Math.floor(v2(field) / 1024);
  assert.equal(shownKib("Slab"), shownKib("SReclaimable") + shownKib("SUnreclaim"));
});

void test("swap: bounded by the host, never less than used, none where none is accounted", () => {
  const swap = (given: Given, policy = POLICY): [number, number] => {
    const { totalBytes, freeBytes } = swapOf(readingOf(given), HOST, policy);
    return [totalBytes / MIB, freeBytes / MIB];
  };
  assert.deepEqual(swap({ swapLimit: 100 * MIB, swapUsage: 30 * MIB }), [100, 70]);
  assert.deepEqual(swap({ swapUsage: 30 * MIB }), [1024, 994]);
  assert.deepEqual(swap({ swapLimit: 10 * MIB, swapUsage: 30 * MIB }), [30, 0]);
  assert.deepEqual(swap({ swapLimit: 0 }), [0, 0]);
  assert.deepEqual(swap({ swappiness: 0, swapUsage: 5 * MIB }), [5, 0]);
  assert.deepEqual(swap({ swappiness: 60, swapUsage: 5 * MIB }), [1024, 1019]);
  assert.deepEqual(swap({ swapAccounted: false }), [0, 0]);
  assert.deepEqual(swap({}, { showSwap: false, showZswap: true }), [0, 0]);
});

void test("zswap is hidden on request", () => {
  const reading = readingOf({ stat: { zswap: MIB, zswapped: 3 * MIB } });
  assert.equal(meminfoFields(reading, HOST, POLICY).get("Zswapped"), 3 * MIB);
  const hidden = meminfoFields(reading, HOST, { showSwap: true, showZswap: false });
  assert.equal(hidden.get("Zswap"), 0);
  assert.equal(hidden.get("Zswapped"), 0);
});

const amount = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 31 }),
  fc.constantFrom(0, 4096, 2 ** 40, Number.MAX_SAFE_INTEGER),
);
const anyLimit = fc.oneof(amount, fc.constant(Infinity));
const anyReading = fc.record({
  limit: anyLimit,
  usage: amount,
  swapLimit: anyLimit,
  swapUsage: amount,
  swapAccounted: fc.boolean(),
  stat: fc.record(Object.fromEntries(STAT_FIELDS.map((name) => [name, amount]))),
});
const anyHost = fc.record({
  MemTotal: fc.integer({ min: 1, max: 2 ** 32 }),
  SwapTotal: fc.integer({ min: 0, max: 2 ** 32 }),
  CommitLimit: fc.integer({ min: 0, max: 2 ** 33 }),
  Mlocked: fc.integer({ min: 0, max: 2 ** 32 }),
});

void test("whatever the kernel says: nothing negative, nothing wrapped, no part above the whole", () => {
  fc.assert(
    fc.property(anyReading, anyHost, (given, kib) => {
      const get = fieldsOf(given, hostOf(kib));
      const total = get("MemTotal");
      assert.ok(total > 0 && total <= kib.MemTotal * 1024);
      const fields = meminfoFields(readingOf(given), hostOf(kib), POLICY);
      for (const [name, value] of fields) {
        assert.ok(value >= 0 && value < Infinity, `${name} is ${value}`);
      }
      const ordered = (...names: string[]): void => {
        for (const [index, name] of names.slice(1).entries()) {
          const before = names[index] ?? "";
          assert.ok(get(before) <= get(name), `${before} ${get(before)} > ${name} ${get(name)}`);
        }
      };
      ordered("MemFree", "MemAvailable", "MemTotal");
      ordered("Shmem", "Cached", "MemTotal");
      ordered("SwapFree", "SwapTotal");
      ordered("SwapCached", "SwapTotal");
      for (const part of ["AnonPages", "Mapped", "Slab", "Active", "Inactive", "KernelStack"]) {
        ordered(part, "MemTotal");
      }
      assert.ok(get("MemFree") + get("Cached") <= total);
      assert.equal(get("Slab"), get("SReclaimable") + get("SUnreclaim"));
      assert.ok(get("SwapTotal") <= kib.SwapTotal * 1024);
    }),
    { numRuns: 500 },
  );
});
