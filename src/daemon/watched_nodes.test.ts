import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { closeFd, inotifyCreate, POLL, pollFd } from "../sys/native.ts";
import { memoryOfOneRegion } from "./testing.ts";
import { ensureWatchedNodes, WatchedNodes } from "./watched_nodes.ts";

/** Memory of one mount, as two threads see it. */
function twoThreads(): [WatchedNodes, WatchedNodes] {
  const state = memoryOfOneRegion();
  ensureWatchedNodes(state);
  return [new WatchedNodes(state), new WatchedNodes(state)];
}

const NODE = { owner: 2 ** 42 + 8, local: 40, space: 7 } as const;
const nothing = (): number => {
  throw new Error("There is nothing to open");
};

void test("a file is watched once it was looked up, whoever did that", () => {
  const [one, other] = twoThreads();
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-watched-"));
  const file = join(directory, "file");
  writeFileSync(file, "");
  const inotifyFd = inotifyCreate();
  const hasEvents = (): boolean => pollFd(inotifyFd, POLL.IN, 0) !== 0;
  let opened = 0;
  const open = (): number => {
    opened++;
    return openSync(file, "r");
  };
  one.takeOver(inotifyFd);
  other.note(NODE, open);
  one.note(NODE, open);
  assert.equal(opened, 1);
  assert.deepEqual(one.nodes(), [NODE]);
  writeFileSync(file, "changed");
  assert.ok(hasEvents());
  // What another server leaves is watched anew, and only once.
  closeFd(inotifyFd);
  const next = inotifyCreate();
  one.takeOver(next);
  assert.deepEqual(other.nodes(new Set([1])), []);
  assert.ok(one.watchAgain(NODE, open));
  assert.ok(!one.watchAgain(NODE, open));
  assert.deepEqual(other.nodes(new Set([1])), [NODE]);
  // Two nodes of one file: its watch ends with the last of them.
  const view = { ...NODE, local: 41 };
  other.note(view, open);
  one.forget(NODE);
  writeFileSync(file, "changed again");
  assert.ok(pollFd(next, POLL.IN, 0) !== 0);
  assert.deepEqual(other.nodes(new Set([1])), [view]);
  closeSync(next);
  rmSync(directory, { recursive: true });
});

void test("a node that was looked up since is not forgotten", () => {
  const [one, other] = twoThreads();
  one.note(NODE, nothing);
  other.forget(NODE, 0);
  assert.deepEqual(one.nodes(), [NODE]);
  other.forget(NODE);
  assert.deepEqual(one.nodes(), []);
});

void test("who has the most loses the oldest", () => {
  const [one] = twoThreads();
  const of = (space: number): number => one.nodes().filter((node) => node.space === space).length;
  for (let local = 0; local < 300; local++) one.note({ owner: 1, local, space: 1 }, nothing);
  assert.equal(of(1), 256);
  assert.ok(!one.nodes().some(({ local }) => local === 0));
  for (let space = 2; space < 20; space++) {
    for (let local = 0; local < 256; local++) one.note({ owner: space, local, space }, nothing);
  }
  assert.equal(one.nodes().length, 4096);
  // Sixteen would have room for 256 each: who comes later takes from all before.
  for (let space = 2; space < 20; space++) assert.ok(of(space) > 200, `${space}: ${of(space)}`);
});

void test("a lock whose holder was killed is taken from it", () => {
  const state = memoryOfOneRegion();
  ensureWatchedNodes(state);
  const nodes = new WatchedNodes(state);
  // The lock is the first word, and holds a thread's number: larger than any there is.
  new Int32Array(state.region("").buffer)[0] = 0x7ffffff0;
  nodes.note(NODE, nothing);
  assert.deepEqual(nodes.nodes(), [NODE]);
});
