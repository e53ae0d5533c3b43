import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pageLifetime } from "./page_lifetime.ts";

/** What the kernel makes of it: ticks begun, and the one that is under way (`timespec64_to_jiffies`). */
function longestMs(attributesSeconds: number, tickMs: number): number {
  if (attributesSeconds === 0) return 0;
  return (Math.ceil((attributesSeconds * 1000) / tickMs) + 1) * tickMs;
}

void test("no page gets older than the bound, whatever the kernel's tick", () => {
  const bounds = fc.integer({ min: 1, max: 60_000 });
  fc.assert(
    fc.property(bounds, fc.constantFrom(1, 10 / 3, 4, 10), (freshnessMs, tickMs) => {
      const { attributesSeconds, stepMs } = pageLifetime(freshnessMs, tickMs);
      const oldestMs = longestMs(attributesSeconds, tickMs) + stepMs;
      assert.ok(stepMs >= 1 && oldestMs <= freshnessMs + 1e-6, `${oldestMs} of ${freshnessMs}`);
    }),
  );
});

void test("at ten milliseconds: nine of them with a fine tick, two ticks of four, none of ten", () => {
  assert.deepEqual(pageLifetime(10, 1), { attributesSeconds: 0.0075, stepMs: 1 });
  assert.deepEqual(pageLifetime(10, 4), { attributesSeconds: 0.002, stepMs: 2 });
  assert.deepEqual(pageLifetime(10, 10), { attributesSeconds: 0, stepMs: 10 });
});
