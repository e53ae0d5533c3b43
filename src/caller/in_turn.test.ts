import assert from "node:assert/strict";
import { test } from "node:test";
import { InTurn } from "./in_turn.ts";

test("all entries are looked at in turn, also those that come, and those that are left when some go", () => {
  const map = new Map([1, 2, 3, 4, 5].map((key) => [key, `v${key}`]));
  const inTurn = new InTurn(map);
  const looked = (count: number, drop = (_key: number): boolean => false): number[] => {
    const keys: number[] = [];
    inTurn.some(count, (value, key) => {
      assert.equal(value, `v${key}`);
      keys.push(key);
      if (drop(key)) map.delete(key);
    });
    return keys;
  };
  assert.deepEqual(looked(2), [1, 2]);
  map.set(6, "v6");
  assert.deepEqual(looked(5), [3, 4, 5, 6, 1]);
  assert.deepEqual(
    looked(100, (key) => key % 2 === 0),
    [2, 3, 4, 5, 6, 1],
    "each once",
  );
  assert.deepEqual([...map.keys()], [1, 3, 5]);
  assert.deepEqual(
    looked(3, () => true),
    [3, 5, 1],
  );
  assert.deepEqual(looked(3), []);
});
