/** The load generator itself: it counts, and it does not take wrong content for speed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { installed, run } from "../test/support/run.ts";
import { checksFor, compiled, type LoadResult, parseResult } from "./load.ts";
import { roundOf } from "./measurement.ts";
import { rotated } from "./scenarios/read.ts";
import { parseSummary } from "../test/support/strace.ts";

const skip = installed("cc") ? false : "no C compiler; tools/setup-debian.sh installs one";

void describe("load generator", { skip }, () => {
  let directory: string;
  before(() => (directory = mkdtempSync(join(tmpdir(), "lxcfs-load-"))));
  after(() => rmSync(directory, { recursive: true, force: true }));

  function load(content: string, ...argv: readonly string[]): LoadResult {
    const file = join(directory, "file");
    writeFileSync(file, content);
    return parseResult(run([compiled("load"), "-f", file, "-o", "50", ...argv]));
  }

  void test("counts what every reader did", () => {
    const result = load("MemTotal: 1 kB\n", "-r", "3");
    assert.equal(result.ops, 150);
    assert.equal(result.bytes, 150 * 15);
    assert.equal(result.errors + result.wrong, 0);
    assert.ok(
      result.p50Ns > 0 && result.p50Ns <= result.p99Ns && result.p99Ns <= result.maxNs * 1.04,
    );
  });

  void test("a held descriptor reads the whole file each time", () => {
    assert.equal(load("x\n", "-h").bytes, 100);
  });

  void test("finds wrong content: another total, a CPU too few, a cut line, nothing", () => {
    const right = `MemTotal:         262144 kB\nSwapFree:              0 kB\n`;
    const checks = checksFor("proc/meminfo", 262_144);
    assert.equal(load(right, ...checks).wrong, 0);
    assert.equal(load(right.replace("262144", "262140"), ...checks).wrong, 50);
    assert.equal(load("processor\t: 0\n", "-k", "1:processor\t:").wrong, 0);
    assert.equal(load("processor\t: 0\n", "-k", "2:processor\t:").wrong, 50);
    assert.equal(load(right.trimEnd(), ...checks).wrong, 50);
    assert.equal(load("").wrong, 50);
    assert.equal(load("", "-e").wrong, 0);
    assert.equal(load("1.5\n", "-n", "2").wrong, 50);
  });

  void test("a missing file is an error, and no figure comes of it", () => {
    const result = parseResult(run([compiled("load"), "-f", join(directory, "none"), "-o", "5"]));
    assert.equal(result.errors, 5);
    assert.throws(() => roundOf("none", result, undefined), /none: of 5 reads 5 failed/);
  });

  void test("the generator of many containers compiles", () => {
    assert.ok(compiled("fleet").endsWith("fleet"));
  });
});

void test("every subject takes its turn to be first", () => {
  assert.deepEqual(rotated(["a", "b", "c"], 4), ["b", "c", "a"]);
});

void test("strace's summary is read by name, its total left out", () => {
  const text = `calls     syscall
--------- ----------------
     1500 pread64
        7 futex
--------- ----------------
     1507 total
`;
  assert.deepEqual(
    [...parseSummary(text)],
    [
      ["pread64", 1500],
      ["futex", 7],
    ],
  );
});
