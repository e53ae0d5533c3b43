import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog, BACKLOG_ENTRIES, ensureBacklog } from "./backlog.ts";
import type { RequestHeader } from "../fuse/operations.ts";
import { createState, openState } from "./state.ts";
import { Turns } from "./turns.ts";

/** A raw request of thread `pid` about a file that answers by caller. */
function request(pid: number, unique: number): Buffer {
  const raw = Buffer.alloc(64);
  raw.writeUInt32LE(raw.length, 0);
  raw.writeUInt32LE(unique, 8);
  raw.writeUInt32LE(pid, 32);
  return raw;
}

function make(): { backlog: Backlog; turns: Turns; next: () => number | undefined } {
  const state = createState();
  ensureBacklog(state);
  const backlog = new Backlog(state);
  // Threads 100 to 199 are in container 1, and so on.
  const callerOf = (pid: number): number => Math.floor(pid / 100);
  const turns = new Turns({ backlog, callerOf, isQueued: () => false, nowMs: () => 0 });
  const next = (): number | undefined => {
    let unique: number | undefined;
    turns.next((raw) => (unique = raw.readUInt32LE(8)));
    return unique;
  };
  return { backlog, turns, next };
}

void test("containers are served in turn, each one's requests in their order", () => {
  const { turns, next } = make();
  for (let i = 0; i < 4; i++) turns.putOff(request(100 + i, 10 + i));
  turns.putOff(request(200, 20));
  turns.putOff(request(300, 30));
  assert.deepEqual([next(), next(), next()], [10, 20, 30]);
  turns.putOff(request(200, 21));
  // The second container has waited longer for its turn than the first one's others.
  assert.deepEqual([next(), next(), next(), next()], [11, 21, 12, 13]);
  assert.equal(next(), undefined);
});

void test("a container that comes late is next, however many of another wait", () => {
  const { turns, next } = make();
  for (let i = 0; i < 64; i++) turns.putOff(request(100 + i, i));
  assert.equal(next(), 0);
  turns.putOff(request(200, 1000));
  assert.equal(next(), 1000);
  assert.equal(next(), 1);
});

void test("a container alone is served as its requests come; two take turns", () => {
  const state = createState();
  ensureBacklog(state);
  let nowMs = 0;
  const turns = new Turns({
    backlog: new Backlog(state),
    callerOf: (pid) => Math.floor(pid / 100),
    isQueued: () => true,
    nowMs: () => nowMs,
  });
  const note = (pid: number, opcode = 15): void =>
    turns.note({ opcode, nodeLow: 0, nodeHigh: 0, pid } as RequestHeader);
  const fetches = (): boolean => Array.from({ length: 32 }, () => turns.isToFetch()).includes(true);
  const RELEASE = 18;
  for (let i = 0; i < 99; i++) note(100 + i);
  for (let i = 0; i < 99; i++) note(0, RELEASE);
  assert.equal(fetches(), false, "one container");
  note(200);
  assert.ok(fetches(), "two");
  nowMs = 2000;
  for (let i = 0; i < 99; i++) note(200);
  assert.equal(fetches(), false, "one again");
});

void test("there is room for so many, and large requests are not put off", () => {
  const { backlog, turns } = make();
  for (let i = 0; i < BACKLOG_ENTRIES; i++) assert.ok(turns.putOff(request(100, i)));
  assert.equal(turns.putOff(request(100, 0)), false);
  assert.equal(backlog.waiting, BACKLOG_ENTRIES);
  const empty = make();
  assert.equal(empty.backlog.put(Buffer.alloc(4096), 1), false);
  assert.ok(empty.backlog.isEmpty);
});

void test("what waits outlives the server, also what it was taking", () => {
  const state = createState();
  ensureBacklog(state);
  const backlog = new Backlog(state);
  backlog.put(request(100, 7), 2 ** 42 + 5);
  assert.throws(() =>
    backlog.take(0, () => {
      throw new Error("dies here");
    }),
  );
  const successor = new Backlog(openState(state.fd));
  successor.restore();
  assert.equal(successor.waiting, 1);
  const seen: number[][] = [];
  successor.each((entry, key) => seen.push([entry, key]));
  assert.deepEqual(seen, [[0, 2 ** 42 + 5]]);
  assert.ok(successor.take(0, (raw) => assert.equal(raw.readUInt32LE(8), 7)));
  assert.ok(successor.isEmpty);
  assert.equal(successor.oldest, 0);
});
