import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { HistoryTable, historyBytes, SLOT } from "./history.ts";
import { historyTable } from "./testing.ts";

void test("a container finds its slot again, another does not find it", () => {
  const table = historyTable(16);
  table.with(800, 1, (slot) => (slot[SLOT.load1] = 3));
  assert.equal(table.with(800, 2, (slot) => slot[SLOT.load1]), 3); // prettier-ignore
  assert.equal(table.with(808, 3, (slot) => slot[SLOT.load1]), 0); // prettier-ignore
});

void test("the one unused for longest gives way, and leaves nothing behind", () => {
  const table = historyTable(8);
  for (let key = 1; key <= 8; key++) {
    table.with(key * 8, key, (slot) => (slot[SLOT.load1] = key));
  }
  table.with(8, 20, () => undefined);
  table.with(72, 21, (slot) => assert.equal(slot[SLOT.load1], 0));
  assert.equal(table.with(8, 22, (slot) => slot[SLOT.load1]), 1); // prettier-ignore
  assert.equal(table.with(16, 23, (slot) => slot[SLOT.load1]), 0); // prettier-ignore
});

void test("never more slots in use than there are, whatever keys come", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1e9 }), { maxLength: 200 }), (keys) => {
      const table = historyTable(16);
      for (const [at, key] of keys.entries()) {
        table.with(key, at, (slot) => assert.equal(slot[SLOT.key], key));
      }
      const used = [...table.used()].map((slot) => slot[SLOT.key]);
      assert.ok(used.length <= 16);
      assert.equal(new Set(used).size, used.length);
    }),
  );
});

void test("a slot is given back when its user throws", () => {
  const table = historyTable();
  assert.throws(() =>
    table.with(8, 1, () => {
      throw new Error("no");
    }),
  );
  const startMs = performance.now();
  table.with(8, 2, () => undefined);
  assert.ok(performance.now() - startMs < 100);
});

void test("what a killed server held is taken over", () => {
  const region = new ArrayBuffer(historyBytes(8, 1));
  const table = new HistoryTable(region, 0, 8, 1);
  table.with(8, 1, (slot) => (slot[SLOT.load1] = 5));
  // The locks are the region's last words; a process that has ended holds all of them.
  const { pid } = spawnSync("true");
  new Int32Array(region, region.byteLength - 32, 8).fill(pid);
  assert.equal(table.with(8, 2, (slot) => slot[SLOT.load1]), 5); // prettier-ignore
});

void test("regions side by side do not touch", () => {
  const bytes = historyBytes(8, 2);
  const region = new ArrayBuffer(bytes * 2);
  const one = new HistoryTable(region, 0, 8, 2);
  const two = new HistoryTable(region, bytes, 8, 2);
  for (let key = 8; key <= 64; key += 8) {
    one.with(key, 1, (slot) => slot.fill(7, 1));
  }
  assert.deepEqual([...two.used()], []);
  two.with(8, 1, (slot) => assert.equal(slot[SLOT.load1], 0));
});
