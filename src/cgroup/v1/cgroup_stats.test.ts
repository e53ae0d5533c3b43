import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CgroupStats, parseCgroupStats } from "./cgroup_stats.ts";

// What Linux 6.18 answered for a cgroup of 50 sleeping threads, field by field.
const ANSWER = Buffer.from(
  [
    "40000000", // length: 64
    "1800", // family
    "0000", // flags
    "01000000", // sequence
    "00000000", // port
    "05010000", // command: CGROUPSTATS_CMD_NEW, version
    "2c00", // attribute: 4 + 40 bytes
    "0100", // CGROUPSTATS_TYPE_CGROUP_STATS
    "3200000000000000", // sleeping
    "0300000000000000", // running
    "0100000000000000", // stopped
    "0200000000000000", // uninterruptible
    "0400000000000000", // waiting for I/O
  ].join(""),
  "hex",
);

void test("an answer", () => {
  assert.deepEqual(parseCgroupStats(ANSWER), { running: 3, blocked: 6, threads: 60 });
});

void test("errors and pieces of answers are none", () => {
  const error = Buffer.from(ANSWER);
  error.writeUInt16LE(2, 4);
  assert.equal(parseCgroupStats(error), undefined);
  for (let length = 0; length < ANSWER.length; length++) {
    assert.equal(parseCgroupStats(ANSWER.subarray(0, length)), undefined);
  }
});

void test("no bytes at all make it throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      parseCgroupStats(Buffer.from(bytes));
    }),
  );
});

void test("a directory that is no cgroup v1 is answered with nothing", () => {
  const stats = new CgroupStats();
  assert.equal(stats.ask("/proc"), undefined);
  assert.equal(stats.ask("/nowhere"), undefined);
  stats.close();
});
