/** A text is given again only if no other can have seen a later moment. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Making, Newest, NEWEST_BYTES } from "./newest.ts";

const KEY = 4711;
const LOCAL = 33;

function newest(): Newest {
  return new Newest(new ArrayBuffer(NEWEST_BYTES), 0);
}

void test("one that was made alone is, until the next one begins", () => {
  const table = newest();
  const first = table.begin(KEY, LOCAL, 100);
  table.end(first);
  assert.ok(table.isNewest(first));
  const second = table.begin(KEY, LOCAL, 101);
  assert.ok(!table.isNewest(first));
  table.end(second);
  assert.ok(table.isNewest(second));
});

void test("of two made at the same time neither is, whichever ended last", () => {
  const table = newest();
  const first = table.begin(KEY, LOCAL, 100);
  const second = table.begin(KEY, LOCAL, 100);
  table.end(second);
  table.end(first);
  assert.ok(!table.isNewest(first) && !table.isNewest(second));
  const third = table.begin(KEY, LOCAL, 101);
  table.end(third);
  assert.ok(table.isNewest(third));
});

void test("other files are none of its business", () => {
  const table = newest();
  const made = table.begin(KEY, LOCAL, 100);
  table.end(made);
  table.begin(KEY, LOCAL + 1, 101);
  table.begin(KEY + 1, LOCAL, 101);
  assert.ok(table.isNewest(made));
});

void test("a thread that was killed in its making holds up the others for a second", () => {
  const table = newest();
  table.begin(KEY, LOCAL, 100);
  const soon = table.begin(KEY, LOCAL, 200);
  table.end(soon);
  assert.ok(!table.isNewest(soon));
  const later = table.begin(KEY, LOCAL, 1300);
  table.end(later);
  assert.ok(table.isNewest(later));
});

/** Threads that make texts of a clock that goes on with every step, and give them to readers. */
void test("however threads take turns, no read that begins after another has ended sees less", () => {
  const threads = 3;
  const step = fc.record({
    thread: fc.nat(threads - 1),
    what: fc.constantFrom("read", "look", "answer"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = newest();
      const kept: ({ making: Making; moment: number } | undefined)[] = [];
      const making: ({ making: Making; moment: number; least: number } | undefined)[] = [];
      let now = 0;
      let answered = 0;
      for (const { thread, what } of steps) {
        now++;
        const running = making[thread];
        if (running === undefined) {
          if (what !== "read") continue;
          const own = kept[thread];
          if (own !== undefined && table.isNewest(own.making)) {
            assert.ok(own.moment >= answered, `${own.moment} after ${answered}`);
          } else {
            making[thread] = { making: table.begin(KEY, LOCAL, now), moment: 0, least: answered };
          }
        } else if (what === "look") running.moment = now;
        else if (what === "answer" && running.moment > 0) {
          table.end(running.making);
          assert.ok(running.moment >= running.least);
          kept[thread] = running;
          answered = Math.max(answered, running.moment);
          making[thread] = undefined;
        }
      }
    }),
    { numRuns: 2000 },
  );
});
