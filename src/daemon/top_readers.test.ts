import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createState } from "./state.ts";
import { ensureTopReaders, ReaderRow, topReaders } from "./top_readers.ts";

void describe("the containers that read most", () => {
  void it("are added up over threads, most first; the host is not among them", () => {
    const state = createState();
    ensureTopReaders(state);
    const one = new ReaderRow(state, 0);
    const two = new ReaderRow(state, 1);
    for (let i = 0; i < 3; i++) one.count(8);
    for (let i = 0; i < 4; i++) two.count(16);
    two.count(8);
    two.count(8);
    one.count(0);
    assert.deepEqual(topReaders(state), [
      [8, 5],
      [16, 4],
    ]);
  });

  void it("are counted on by the next server", () => {
    const state = createState();
    ensureTopReaders(state);
    new ReaderRow(state, 3).count(8);
    new ReaderRow(state, 3).count(8);
    assert.deepEqual(topReaders(state), [[8, 2]]);
  });

  void it("are found among more than there is room for", () => {
    const state = createState();
    ensureTopReaders(state);
    const row = new ReaderRow(state, 0);
    for (let round = 0; round < 50; round++) {
      for (let key = 1; key <= 20; key++) row.count(round * 20 + key + 1000);
      for (let times = 0; times < 10; times++) row.count(7);
    }
    const [first] = topReaders(state);
    assert.deepEqual(first, [7, 500]);
    assert.ok(topReaders(state).length <= 128);
  });
});
