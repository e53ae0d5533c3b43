import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryOfOneRegion } from "./testing.ts";
import { ensureTriggers, FIRED, TriggerTable } from "./trigger_table.ts";

/** Memory of one mount, as two threads see it. */
function twoThreads(): [TriggerTable, TriggerTable] {
  const state = memoryOfOneRegion();
  ensureTriggers(state);
  return [new TriggerTable(state), new TriggerTable(state)];
}

const TRIGGER = {
  handle: 65_537,
  container: 2 ** 42 + 8,
  local: 40,
  fd: 9,
  pid: 77,
  kind: "full",
  space: 7,
  thresholdUs: 20_000,
  windowUs: 2_000_000,
} as const;

void test("what one thread arms, another finds, whole", () => {
  const [one, other] = twoThreads();
  assert.equal(other.find(TRIGGER.handle), -1);
  assert.ok(one.add(TRIGGER));
  const index = other.find(TRIGGER.handle);
  assert.deepEqual([...other.all()], [{ ...TRIGGER, index, closing: false, resting: false }]);
  assert.equal(other.find(1), -1);
});

void test("an event is told once, the end of the cgroup every time", () => {
  const [one, other] = twoThreads();
  one.add(TRIGGER);
  const index = one.find(TRIGGER.handle);
  assert.equal(one.take(index), FIRED.no);
  one.setWaiter(index, 12_345);
  assert.equal(other.fire(index, FIRED.yes), 12_345);
  assert.equal(one.take(index), FIRED.yes);
  assert.equal(one.take(index), FIRED.no);
  other.fire(index, FIRED.gone);
  assert.equal(one.take(index), FIRED.gone);
  assert.equal(one.take(index), FIRED.gone);
});

void test("a released trigger is found by nobody but the one who is to close it", () => {
  const [one, other] = twoThreads();
  one.add(TRIGGER);
  const index = one.find(TRIGGER.handle);
  one.release(index);
  assert.equal(one.find(TRIGGER.handle), -1);
  assert.deepEqual([...other.all()].map(({ closing }) => closing), [true]); // prettier-ignore
  other.free(index);
  assert.deepEqual([...one.all()], []);
});

void test("a table that is full refuses, and has room again when one goes", () => {
  const [one] = twoThreads();
  let added = 0;
  while (one.add({ ...TRIGGER, handle: added + 1 })) added++;
  assert.equal(added, 1024);
  one.release(one.find(7));
  for (const { index, closing } of one.all()) if (closing) one.free(index);
  assert.ok(one.add({ ...TRIGGER, handle: 9999 }));
});

void test("only the server that said so is woken", () => {
  const [one, other] = twoThreads();
  assert.equal(one.wakeFd(77), -1);
  other.setWakeFd(77, 5);
  assert.equal(one.wakeFd(77), 5);
  assert.equal(one.wakeFd(78), -1);
});
