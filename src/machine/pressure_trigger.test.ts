import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatPressureTrigger, parsePressureTrigger } from "./pressure_trigger.ts";

void test("what the kernel takes", () => {
  assert.deepEqual(parsePressureTrigger("some 150000 1000000", true), {
    kind: "some",
    thresholdUs: 150_000,
    windowUs: 1_000_000,
  });
  assert.equal(parsePressureTrigger("full 1 500000\n", true)?.kind, "full");
  assert.ok(parsePressureTrigger("some 500000 500000\0", true));
  assert.ok(parsePressureTrigger("some 100000 2000000", false));
});

void test("what it refuses", () => {
  for (const text of [
    "",
    "some",
    "some 1",
    "none 150000 1000000",
    "some 0 1000000",
    "some 1000001 1000000",
    "some 1 499999",
    "some 1 10000001",
    "some -1 1000000",
    "some 1 1000000 1",
    "some 1 99999999999999999999",
    `some 1 1000000${" ".repeat(30)}`,
  ]) {
    assert.equal(parsePressureTrigger(text, true), undefined, text);
  }
  assert.equal(parsePressureTrigger("some 150000 1000000", false), undefined);
});

void test("any text is refused or bounded, and what is taken reads as it was", () => {
  const words = fc.array(fc.constantFrom("some", "full", " ", "1", "500000", "2000000", "\0", "x"));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        words.map((each) => each.join("")),
      ),
      fc.boolean(),
      (text, privileged) => {
        // prettier-ignore
        const trigger = parsePressureTrigger(text, privileged);
        if (trigger === undefined) return;
        assert.ok(trigger.thresholdUs > 0 && trigger.thresholdUs <= trigger.windowUs);
        assert.deepEqual(parsePressureTrigger(formatPressureTrigger(trigger), privileged), trigger);
      },
    ),
  );
});
