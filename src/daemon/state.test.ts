import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { test } from "node:test";
import { memfdCreate } from "../sys/native.ts";
import { ensureTopReaders } from "./top_readers.ts";
import { ensureCacheSizes } from "./cache_sizes.ts";
import { ensureFilesystemMemory } from "./filesystem_memory.ts";
import { Counters, ensureCounters, LATENCY_BOUNDS_US } from "./counters.ts";
import { metricsText } from "./metrics.ts";
import { keepNegotiated, ensureNegotiated, negotiatedOf } from "./negotiated.ts";
import { allSlots, ensureSlots, Slot, takeSlot } from "./slots.ts";
import { createState, openState } from "./state.ts";
import { abandonedSlots } from "./workers.ts";

void test("what one mapping writes, another reads", () => {
  const state = createState();
  const other = openState(state.fd);
  state.set("restarts", 3);
  assert.equal(other.add("restarts"), 4);
  assert.equal(state.get("restarts"), 4);
  other.setText("upgradeError", "ä".repeat(300));
  assert.match(state.text("upgradeError"), /^ä{127}/);
  other.setText("upgradeError", "short");
  assert.equal(state.text("upgradeError"), "short");
  closeSync(state.fd);
});

void test("regions are found by name, keep their content, and do not overlap", () => {
  const state = createState();
  state.ensureRegion("one", 100);
  state.ensureRegion("two", 5000);
  const other = openState(state.fd);
  const one = other.region("one");
  const two = other.region("two");
  assert.equal(one.byteOffset % 4096, 0);
  assert.ok(two.byteOffset >= one.byteOffset + 4096);
  new Uint8Array(two.buffer, two.byteOffset, two.byteLength).fill(7);
  other.ensureRegion("two", 4000);
  assert.equal(other.region("two").byteOffset, two.byteOffset);
  assert.equal(new Uint8Array(state.region("two").buffer, two.byteOffset, 1)[0], 7);
  // A version that needs more gets new memory, zeroed, under the same name.
  other.ensureRegion("two", 9000);
  const larger = state.region("two");
  assert.equal(larger.byteLength, 9000);
  assert.equal(new Uint8Array(larger.buffer, larger.byteOffset, 1)[0], 0);
  assert.throws(() => state.region("three"), /region three: it does not exist/);
  assert.throws(() => state.ensureRegion("huge", 1 << 30), /too many/);
  closeSync(state.fd);
});

void test("memory that is not shared state is refused", () => {
  const fd = memfdCreate("other", 128 << 20);
  assert.throws(() => openState(fd), /Cannot use shared state/);
  closeSync(fd);
});

void test("a slot keeps the request of a thread that died", () => {
  const state = createState();
  ensureSlots(state);
  const slot = takeSlot(state, 1);
  assert.ok(slot);
  assert.equal(slot.busy, false);
  // fuse_in_header: len 40, opcode 1, unique 6
  slot.buffer.writeUInt32LE(40, 0);
  slot.buffer.writeUInt32LE(1, 4);
  slot.buffer.writeBigUInt64LE(6n, 8);
  const successor = openState(state.fd);
  const [left, ...others] = abandonedSlots(successor, 2, "main");
  assert.ok(left);
  assert.deepEqual(others, []);
  assert.equal(left.busy, true);
  assert.equal(left.unique, 6n);
  assert.equal(left.request().length, 40);
  assert.equal(left.adopt(2), 1);
  assert.equal(left.adopt(3), 2);
  assert.deepEqual(abandonedSlots(successor, 3, "main"), []);
  left.release();
  assert.equal(slot.owner, 0);
  assert.equal(slot.busy, false);
  closeSync(state.fd);
});

void test("every slot is taken once", () => {
  const state = createState();
  ensureSlots(state);
  const taken = allSlots(state).map(() => takeSlot(state, 1)?.index);
  assert.equal(new Set(taken).size, taken.length);
  assert.equal(takeSlot(state, 2), undefined);
  new Slot(state, 5).release();
  assert.equal(takeSlot(state, 2)?.index, 5);
  closeSync(state.fd);
});

void test("requests are counted by file, result and duration, over all threads", () => {
  const state = createState();
  ensureSlots(state);
  ensureCounters(state);
  ensureCacheSizes(state);
  ensureFilesystemMemory(state);
  ensureTopReaders(state);
  const mine = new Counters(state);
  const theirs = new Counters(openState(state.fd));
  const place = mine.place("proc/meminfo");
  assert.equal(theirs.place("proc/meminfo"), place);
  assert.notEqual(theirs.place("proc/stat"), place);
  mine.row(0).count(place, "ok");
  theirs.row(1).count(place, "ok");
  theirs.row(1).count(place, "late");
  assert.deepEqual(
    [...mine.byFile()],
    [["proc/meminfo", { ok: 2, error: 0, expected: 0, late: 1 }]],
  );
  for (const us of [0.5, 4, 4.5, 8, 9, 1e9]) mine.row(0).took(us);
  const { counts } = mine.latency();
  assert.deepEqual(counts.slice(0, 3), [2, 2, 1]);
  assert.equal(counts.at(-1), 1);
  assert.equal(counts.length, LATENCY_BOUNDS_US.length + 1);
  // More names than places: the rest share one.
  const places = Array.from({ length: 100 }, (_, i) => mine.place(`file ${i}`));
  assert.equal(places.at(-1), places.at(-2));
  mine.row(2).count(places.at(-1) ?? 0, "error");
  assert.equal(mine.byFile().get("others")?.error, 1);
  const text = metricsText(state, mine, 2);
  assert.match(text, /^lxcfs_requests_total\{file="proc\/meminfo",result="ok"\} 2$/m);
  assert.match(text, /^lxcfs_request_duration_seconds_bucket\{le="\+Inf"\} 6$/m);
  assert.match(text, /^lxcfs_request_duration_seconds_bucket\{le="0.000008"\} 4$/m);
  closeSync(state.fd);
});

void test("what was agreed on with the kernel reaches the successor", () => {
  const state = createState();
  ensureNegotiated(state);
  assert.equal(negotiatedOf(state), undefined);
  const agreed = {
    major: 7,
    minor: 45,
    offered: 2 ** 39 + 5,
    flags: 2 ** 39 + 1,
    maxReadaheadBytes: 131_072,
    maxWriteBytes: 65_536,
    maxPages: 32,
    maxBackground: 64,
    congestionThreshold: 48,
    timeGranularityNs: 1,
    requestTimeoutSeconds: 0,
  };
  keepNegotiated(state, "main", agreed);
  assert.deepEqual(negotiatedOf(openState(state.fd)), agreed);
  closeSync(state.fd);
});
