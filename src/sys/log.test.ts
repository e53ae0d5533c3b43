import assert from "node:assert/strict";
import { fstatSync } from "node:fs";
import { test } from "node:test";
import { Logger, stderrIsJournal } from "./log.ts";

function logger(
  least: "debug" | "info" | "warn",
  isJournal = false,
): { lines: string[]; log: Logger; pass: (ms: number) => void } {
  const lines: string[] = [];
  let nowMs = 0;
  const log = new Logger(
    least,
    (line) => lines.push(line),
    () => nowMs,
    isJournal,
  );
  return { lines, log, pass: (ms) => (nowMs += ms) };
}

void test("a line an event, its fields quoted where they need it", () => {
  const { lines, log } = logger("info");
  log.debug("not said");
  log.info("serving", { mountpoint: "/var/lib/lxcfs", cause: "two words\n", none: undefined });
  assert.deepEqual(lines, [
    'lxcfs: info: serving mountpoint=/var/lib/lxcfs cause="two words\\n"\n',
  ]);
});

void test("the same warning is said once a minute, with how often it was held back", () => {
  const { lines, log, pass } = logger("warn");
  for (let second = 0; second < 61; second++) {
    log.warn("late", { second });
    log.error("late");
    pass(1000);
  }
  assert.deepEqual(lines, [
    "lxcfs: warn: late second=0\n",
    "lxcfs: error: late\n",
    "lxcfs: warn: late second=60 repeated=59\n",
    "lxcfs: error: late repeated=59\n",
  ]);
});

void test("different warnings without end do not grow what is remembered, and are all said", () => {
  const { lines, log } = logger("warn");
  for (let index = 0; index < 1000; index++) log.warn(`event ${index}`);
  assert.equal(lines.length, 1000);
});

void test("the journal gets each line's priority", () => {
  const { lines, log } = logger("debug", true);
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  assert.deepEqual(
    lines.map((line) => line.slice(0, 3)),
    ["<7>", "<6>", "<4>", "<3>"],
  );
  const { dev, ino } = fstatSync(2, { bigint: true });
  assert.equal(stderrIsJournal({ JOURNAL_STREAM: `${dev}:${ino}` }), true);
  assert.equal(stderrIsJournal({ JOURNAL_STREAM: `${dev}:${ino + 1n}` }), false);
  assert.equal(stderrIsJournal({}), false);
});
