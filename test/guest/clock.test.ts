/** The one fault of the chaos suite that wants a machine of its own: the wall clock jumps. */
import "./guest.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { lineOf, suffer } from "../chaos/fault.ts";
import { slowness } from "../chaos/slowness.ts";
import { Stage } from "../chaos/stage.ts";
import { clockJumps } from "../chaos/surrounding_faults.ts";

void test(`${clockJumps.name}: ${clockJumps.what}`, async () => {
  const stage = await Stage.set(false);
  try {
    const outcome = await suffer(stage, clockJumps, slowness);
    console.log(lineOf(outcome));
    assert.deepEqual(outcome.complaints, []);
  } finally {
    stage.clear();
  }
});
