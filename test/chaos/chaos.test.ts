/** Everything that can go wrong around a mount, one after the other, under the eyes of containers. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { lineOf, suffer } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import { slowness } from "./slowness.ts";
import { Stage } from "./stage.ts";
import { clockJumps } from "./surrounding_faults.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.set(false);
});
after(() => stage.clear());

// The clock has a file of its own, for it can only be set in a virtual machine.
for (const fault of FAULTS.filter((each) => each !== clockJumps)) {
  void test(`${fault.name}: ${fault.what}`, { skip: fault.whyNot?.() ?? false }, async () => {
    const outcome = await suffer(stage, fault, slowness);
    console.log(lineOf(outcome));
    assert.deepEqual(outcome.complaints, []);
  });
}
