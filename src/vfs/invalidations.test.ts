import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Invalidations, INVALIDATIONS_BYTES } from "./invalidations.ts";

function make(): { list: Invalidations; again: () => Invalidations } {
  const region = new SharedArrayBuffer(INVALIDATIONS_BYTES);
  return { list: new Invalidations(region, 0), again: () => new Invalidations(region, 0) };
}

function take(list: Invalidations, nowMs: number, all = false): { taken: string[]; left: number } {
  const taken: string[] = [];
  const left = list.takeDue(nowMs, (low, high) => taken.push(`${high}:${low}`), all);
  return { taken, left };
}

test("a page is taken back when it is due, not before", () => {
  const { list } = make();
  list.given(list.announce(7, 1, 0), 10);
  assert.deepEqual(take(list, 9), { taken: [], left: 1 });
  assert.deepEqual(take(list, 10), { taken: ["1:7"], left: Infinity });
  assert.deepEqual(take(list, 20), { taken: [], left: Infinity });
});

test("a page that is only announced is left alone: it has not reached the kernel", () => {
  const { list } = make();
  const ticket = list.announce(7, 0, 0);
  assert.deepEqual(take(list, 50).taken, []);
  list.given(ticket, 60);
  assert.deepEqual(take(list, 60).taken, ["0:7"]);
});

test("a successor takes back everything, announced or given", () => {
  const { list, again } = make();
  list.given(list.announce(1, 0, 0), 1e9);
  list.announce(2, 0, 0);
  assert.deepEqual(take(again(), 0, true).taken, ["0:1", "0:2"]);
});

test("what is stuck in the middle does not hold up what is behind it, and is given up in the end", () => {
  const { list } = make();
  list.announce(1, 0, 0);
  list.given(list.announce(2, 0, 0), 5);
  assert.deepEqual(take(list, 5).taken, ["0:2"]);
  assert.deepEqual(take(list, 6000).taken, ["0:1"]);
});

test("the sleeper is woken by the first page after it fell asleep, and only by that", () => {
  const { list } = make();
  assert.equal(list.given(list.announce(1, 0, 0), 5), false);
  assert.equal(list.fallAsleep(), false, "there is something to do");
  take(list, 5);
  assert.equal(list.fallAsleep(), true);
  assert.equal(list.given(list.announce(1, 0, 0), 5), true);
  assert.equal(list.given(list.announce(1, 0, 0), 5), false);
});

test("a full list says so, and works again when it has been emptied", () => {
  const { list } = make();
  let count = 0;
  for (let ticket = list.announce(1, 0, 0); ticket >= 0; ticket = list.announce(1, 0, 0)) {
    list.given(ticket, 1);
    count++;
  }
  assert.ok(count >= 4096);
  take(list, 1);
  assert.ok(list.announce(1, 0, 0) >= 0);
});

test("every page given is taken back exactly once, whatever the order of things", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 300 }), (steps) => {
      const { list } = make();
      const taken: string[] = [];
      let nowMs = 0;
      let given = 0;
      for (const step of steps) {
        nowMs += step % 4;
        if (step > 10) list.given(list.announce(given++, 0, nowMs), nowMs + step);
        else taken.push(...take(list, nowMs).taken);
      }
      taken.push(...take(list, nowMs + 100).taken);
      const numbers = taken.map((name) => Number(name.slice(2))).toSorted((a, b) => a - b);
      assert.deepEqual(numbers, [...Array(given).keys()]);
    }),
  );
});
