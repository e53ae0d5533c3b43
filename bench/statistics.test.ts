import assert from "node:assert/strict";
import { test } from "node:test";
import { median, pairedRatio, spread } from "./statistics.ts";

void test("a median is the middle of an odd count and between the two of an even one", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([1, 4, 2, 10]), 3);
  assert.ok(Number.isNaN(median([])));
});

void test("a spread names the extremes", () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
});

void test("ratios are taken within a round, so that a slow round cancels out", () => {
  assert.deepEqual(pairedRatio([40, 4, 400], [10, 1, 100]), { median: 4, least: 4, most: 4 });
  assert.deepEqual(pairedRatio([1, 2], [0, 1]), { median: 2, least: 2, most: 2 });
});
