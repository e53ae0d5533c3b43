/** Load averages against the kernel's own arithmetic and the curve it approximates. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SLOT } from "./history.ts";
import { addLoadSample, FORGET_MS, loadIsWanted, loadOf, SAMPLE_MS } from "./load.ts";

const MEANS = [60, 300, 900];

function emptySlot(): Float64Array {
  return new Float64Array(SLOT.rows);
}

function sample(slot: Float64Array, running: number, seconds: number, busySeconds = 0): void {
  // Somebody asks all the time: what nobody wants is forgotten.
  loadOf(slot, seconds * 1000);
  const counts = { running, blocked: 0, threads: running + 1, lastPid: 1 };
  addLoadSample(slot, counts, seconds * 1000, busySeconds);
}

function averages(slot: Float64Array, seconds: number): readonly number[] {
  const load = loadOf(slot, seconds * 1000);
  assert.ok(load);
  return load.averages;
}

/** kernel/sched/loadavg.c: fixed point of 11 bits, one step of 5 s. */
function kernelStep(load: number, exponent: number, active: number): number {
  const fixed = active * 2048;
  let next = load * exponent + fixed * (2048 - exponent);
  if (fixed >= load) next += 2047;
  return Math.floor(next / 2048);
}

void test("k runnable threads from the start follow the analytic curve within 0.1", () => {
  for (const k of [1, 2, 7]) {
    const slot = emptySlot();
    sample(slot, 0, 1000);
    for (let seconds = 5; seconds <= 1800; seconds += 5) {
      sample(slot, k, 1000 + seconds);
      for (const [index, mean] of MEANS.entries()) {
        const expected = k * (1 - Math.exp(-seconds / mean));
        const shown = averages(slot, 1000 + seconds)[index] ?? 0;
        assert.ok(Math.abs(shown - expected) < 0.1, `${shown} for ${expected} at ${seconds} s`);
      }
    }
  }
});

void test("they agree with the kernel's own steps within 0.1, rising and falling", () => {
  const slot = emptySlot();
  sample(slot, 0, 1000);
  const kernel = [0, 0, 0];
  for (let step = 1; step <= 400; step++) {
    const active = step <= 100 ? 3 : step <= 150 ? 0 : step % 5;
    sample(slot, active, 1000 + step * 5);
    for (const [index, exponent] of [1884, 2014, 2037].entries()) {
      kernel[index] = kernelStep(kernel[index] ?? 0, exponent, active);
      const shown = averages(slot, 1000 + step * 5)[index] ?? 0;
      // Of a long mean the kernel's 11 bits lose up to 0.07.
      assert.ok(Math.abs(shown - (kernel[index] ?? 0) / 2048) < 0.1);
    }
  }
});

void test("uneven rounds come to the same as even ones", () => {
  const even = emptySlot();
  const uneven = emptySlot();
  sample(even, 0, 1000);
  sample(uneven, 0, 1000);
  for (let seconds = 5; seconds <= 300; seconds += 5) sample(even, 2, 1000 + seconds);
  for (const seconds of [3, 20, 21, 60, 100, 180, 181, 250, 300]) sample(uneven, 2, 1000 + seconds);
  const expected = averages(even, 1300);
  for (const [index, average] of averages(uneven, 1300).entries()) {
    assert.ok(Math.abs(average - (expected[index] ?? 0)) < 1e-9);
  }
});

void test("a container busy since its start shows that at the first look, one just busy does not", () => {
  const old = emptySlot();
  sample(old, 2, 1000, 600);
  assert.ok(Math.abs((averages(old, 1000)[0] ?? 0) - 2) < 0.01);
  const fresh = emptySlot();
  sample(fresh, 2, 1000, 1);
  assert.ok((averages(fresh, 1000)[0] ?? 1) < 0.1);
});

void test("threads in uninterruptible sleep count as those that run", () => {
  const slot = emptySlot();
  loadOf(slot, 1000);
  addLoadSample(slot, { running: 0, blocked: 0, threads: 1, lastPid: 1 }, 1000, 0);
  addLoadSample(slot, { running: 1, blocked: 3, threads: 9, lastPid: 7 }, 61_000, 0);
  assert.ok(Math.abs((averages(slot, 61)[0] ?? 0) - 4 * (1 - Math.exp(-1))) < 1e-9);
});

void test("means stay between 0 and the most that ever ran, whatever the clock does", () => {
  const round = fc.record({
    running: fc.integer({ min: 0, max: 500 }),
    afterMs: fc.integer({ min: -60_000, max: 600_000 }),
  });
  fc.assert(
    fc.property(fc.array(round, { minLength: 1, maxLength: 50 }), (rounds) => {
      const slot = emptySlot();
      let nowMs = 1e6;
      let most = 0;
      let lastPid = 0;
      for (const { running, afterMs } of rounds) {
        nowMs = Math.max(1, nowMs + afterMs);
        most = Math.max(most, running);
        const counts = { running, blocked: 0, threads: running, lastPid: running };
        loadOf(slot, nowMs);
        addLoadSample(slot, counts, nowMs, 5);
        const load = loadOf(slot, nowMs);
        assert.ok(load);
        for (const average of load.averages) assert.ok(average >= 0 && average <= most + 1e-9);
        assert.ok(load.lastPid >= lastPid, "the last pid went back");
        lastPid = load.lastPid;
      }
    }),
  );
});

void test("only containers that somebody asked for lately are sampled", () => {
  const slot = emptySlot();
  assert.equal(loadIsWanted(slot, 1000), false);
  assert.equal(loadOf(slot, 1000), undefined);
  assert.equal(loadIsWanted(slot, 1000 + SAMPLE_MS), true);
  assert.equal(loadIsWanted(slot, 1001 + FORGET_MS), false);
});
