import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { localOf, MAX_LOCAL, nodeHigh, nodeLow, ownerOf } from "./node_id.ts";

test("the root of the filesystem is FUSE's own root", () => {
  assert.equal(nodeLow(0, 1), 1);
  assert.equal(nodeHigh(0), 0);
});

test("owner and file number come back from both words", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 43 - 1 }),
      fc.integer({ min: 0, max: MAX_LOCAL }),
      (owner, local) => {
        const [low, high] = [nodeLow(owner, local), nodeHigh(owner)];
        assert.ok(low >= 0 && low < 2 ** 32 && high >= 0 && high < 2 ** 32);
        assert.equal(localOf(low), local);
        assert.equal(ownerOf(low, high), owner);
      },
    ),
  );
});
