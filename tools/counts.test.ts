/** Counts, from what Node's runner tells of real tests. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { closingLine, type Counts, countsOf, sum, testLines } from "./counts.ts";

const REPORTER = join(import.meta.dirname, "reporter.js");

function countsOfProgram(program: string): Counts {
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-counts-"));
  try {
    const file = join(folder, "sample.mjs");
    writeFileSync(file, `import { describe, test } from "node:test";\n${program}`);
    const { stdout, status } = spawnSync(process.execPath, [`--test-reporter=${REPORTER}`, file], {
      encoding: "utf8",
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    return countsOf(testLines(stdout), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

void test("passed, failed and skipped are told apart; groups are no tests", () => {
  const counts = countsOfProgram(`
    describe("group", () => {
      test("good", () => {});
      test("bad # SKIP", () => { throw new Error("bad"); });
      test("not here", { skip: "no root" }, () => {});
      test("not yet", { todo: "later" }, () => {});
    });`);
  assert.deepEqual(counts, { passed: 1, failed: 1, skipped: 2, unsteady: [] });
});

void test("a group that is skipped whole is skipped, not nothing", () => {
  const counts = countsOfProgram(
    `describe("group", { skip: "no root" }, () => { test("a", () => {}); });`,
  );
  assert.deepEqual(counts, { passed: 0, failed: 0, skipped: 1, unsteady: [] });
});

void test("a run that died is a failure, even without a word", () => {
  assert.equal(countsOfProgram(`test("a", () => process.exit(3));`).failed, 1);
  assert.equal(countsOf([], null).failed, 1);
});

void test("a hook that fails is a failure, with tests or without", () => {
  const counts = countsOfProgram(`
    import { after } from "node:test";
    describe("group", () => {
      after(() => { throw new Error("hook"); });
      test("good", () => {});
    });`);
  assert.deepEqual([counts.passed, counts.failed], [1, 1]);
});

void test("what failed outside tests is a failure", () => {
  assert.equal(countsOfProgram(`test("a", () => {}); throw new Error("after");`).failed, 1);
});

void test("sums are told in one line", () => {
  const one: Counts = { passed: 2, failed: 0, skipped: 1, unsteady: ["a"] };
  const both = sum([one, { ...one, failed: 3, unsteady: [] }]);
  assert.deepEqual(both, { passed: 4, failed: 3, skipped: 2, unsteady: ["a"] });
  assert.equal(closingLine(both), "4 passed, 3 failed, 2 skipped");
});
