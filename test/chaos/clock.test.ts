/** The wall clock jumps under the eyes of containers: in a virtual machine, whose clock is nobody else's. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { lineOf, suffer } from "./fault.ts";
import { slowness } from "./slowness.ts";
import { Stage } from "./stage.ts";
import { clockJumps } from "./surrounding_faults.ts";

void describe("chaos", { skip: clockJumps.whyNot?.() ?? false }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.set(false);
  });
  after(() => stage?.clear());

  void test(`${clockJumps.name}: ${clockJumps.what}`, async () => {
    const outcome = await suffer(stage, clockJumps, slowness);
    console.log(lineOf(outcome));
    assert.deepEqual(outcome.complaints, []);
  });
});
