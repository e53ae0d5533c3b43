/** Rounds of the sampler: whom it looks at, what it costs, what it does not do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Container } from "../caller/container.ts";
import { FORGET_MS, loadOf, SAMPLE_MS } from "./load.ts";
import { sampleLoads, wantedKeys, type SampledWorld } from "./load_sampler.ts";
import type { Machine } from "./machine.ts";
import { CapturedMachine, FakeClock, historyTable } from "./testing.ts";

/** A world whose containers note that they were sampled. */
function world(costMs: number, dead: readonly number[] = [], failing: readonly number[] = []) {
  const clock = new FakeClock();
  const history = historyTable(64);
  const sampled: number[] = [];
  let spentMs = 0;
  const made: SampledWorld = {
    clock,
    history,
    cpuMs: () => spentMs,
    containerOf: (key) => (dead.includes(key) ? undefined : ({ key } as Container)),
    machineOf: ({ key }) =>
      ({
        sampleLoad() {
          spentMs += costMs;
          if (failing.includes(key)) throw new Error("vanished");
          sampled.push(key);
        },
      }) as Machine,
  };
  const ask = (key: number): void => {
    const nowMs = clock.monotonicMs();
    history.with(key, nowMs, (slot) => loadOf(slot, nowMs));
  };
  return { made, clock, history, sampled, ask };
}

void test("containers whose load was asked for are sampled, and no others", () => {
  const { made, history, sampled, ask } = world(0.1);
  history.with(16, 1, () => undefined);
  ask(24);
  ask(32);
  assert.equal(sampleLoads(made).sampled, 2);
  assert.deepEqual(sampled.toSorted(), [24, 32]);
});

void test("whom nobody asks for any more is left alone", () => {
  const { made, clock, history, ask } = world(0.1);
  ask(24);
  clock.seconds += FORGET_MS / 1000 + 1;
  assert.deepEqual(wantedKeys(history, clock.monotonicMs()), []);
  assert.deepEqual(sampleLoads(made), { sampled: 0, costMs: 0, nextMs: SAMPLE_MS });
});

void test("one that is gone, or fails, does not stop the others", () => {
  const { made, sampled, ask } = world(0.1, [24], [32]);
  for (const key of [24, 32, 40]) ask(key);
  assert.equal(sampleLoads(made).sampled, 1);
  assert.deepEqual(sampled, [40]);
});

void test("never more than one hundredth of a CPU, as long as a round is under 600 ms", () => {
  for (const costMs of [0, 10, 49, 60, 300]) {
    const { made, ask } = world(costMs);
    ask(24);
    const { nextMs, costMs: spentMs } = sampleLoads(made);
    assert.equal(spentMs, costMs);
    assert.ok(nextMs >= SAMPLE_MS);
    assert.ok(spentMs / nextMs <= 0.01, `${spentMs} ms every ${nextMs} ms`);
  }
});

void test("threads of a captured container are counted, by its own numbers", () => {
  const captured = new CapturedMachine("debian12-6.1.0-50-amd64-v2");
  try {
    const load = captured.machine.load();
    assert.ok(load.threads >= 3 && load.threads < 64, `${load.threads} threads`);
    assert.ok(load.lastPid >= 1 && load.lastPid < 1000, `pid ${load.lastPid}`);
    const again = captured.machine.load();
    assert.equal(again.threads, load.threads);
  } finally {
    captured.remove();
  }
});
