/** The short form of `npm run soak`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { slowness } from "../chaos/slowness.ts";
import { Stage } from "../chaos/stage.ts";
import { soak } from "./soak.ts";

void test("a minute of use and trouble: no read fails, none is wrong", async () => {
  const stage = await Stage.set(false);
  try {
    const soaked = await soak(stage, 60, slowness);
    console.log(JSON.stringify(soaked));
    assert.deepEqual(soaked.complaints, []);
    assert.equal(soaked.failed, 0);
    assert.ok(soaked.reads > 500);
  } finally {
    stage.clear();
  }
});
