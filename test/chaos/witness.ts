/**
 * A reader inside a container: reads its files over and over, by opening them anew and through
 * descriptors that it keeps, and judges each answer. A process of its own, so that a read that is
 * not answered stops it and nothing else. Each line on its standard input asks for what it has seen
 * since the last one; it ends when that closes.
 *
 * Usage: witness.js EXPECTATION-AS-JSON
 */
import { closeSync, openSync, readSync } from "node:fs";
import { createInterface } from "node:readline";
import { errnoOf, errnoName } from "../../src/sys/errno.ts";
import { judges, type Expectation, type Judge } from "./judge.ts";

/** What a witness saw in some time. */
export interface Testimony {
  reads: number;
  /** Reads that failed, by the error's name. */
  failed: Record<string, number>;
  /** Answers that were wrong; the first few are told. */
  wrongCount: number;
  wrong: string[];
  longestStallMs: number;
}

const TOLD = 3;
const PAUSE_MS = 2;
const expectation = JSON.parse(process.argv[2] ?? "{}") as Expectation;
const buffer = Buffer.alloc(1 << 18);
let seen = nothing();
let ended = false;

function nothing(): Testimony {
  return { reads: 0, failed: {}, wrongCount: 0, wrong: [], longestStallMs: 0 };
}

/** One file and how it is read; both ways remember apart what they saw. */
interface Subject {
  readonly path: string;
  judge: Judge;
  /** Kept open, or nothing. */
  held: number | undefined;
  readonly holds: boolean;
}

const subjects: Subject[] = [false, true].flatMap((holds) =>
  [...judges(expectation)].map(([path, judge]) => ({ path, judge, held: undefined, holds })),
);
/** With these a mount has died: what is read later is another one's, whose history begins anew. */
const DEATHS: ReadonlySet<string> = new Set(["ENOTCONN", "ECONNABORTED"]);

function textOf(fd: number): string {
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, length);
    if (count === 0) return buffer.toString("latin1", 0, length);
    length += count;
  }
}

function readOnce(subject: Subject): string {
  if (!subject.holds) {
    const fd = openSync(subject.path, "r");
    try {
      return textOf(fd);
    } finally {
      closeSync(fd);
    }
  }
  subject.held ??= openSync(subject.path, "r");
  try {
    return textOf(subject.held);
  } catch (error) {
    // A descriptor of a mount that has died stays dead.
    closeSync(subject.held);
    subject.held = undefined;
    throw error;
  }
}

function look(subject: Subject): void {
  const startMs = performance.now();
  seen.reads++;
  try {
    const wrong = subject.judge(readOnce(subject));
    if (wrong !== undefined) {
      seen.wrongCount++;
      if (seen.wrong.length < TOLD) seen.wrong.push(wrong);
    }
  } catch (error) {
    const name = errnoName(errnoOf(error));
    seen.failed[name] = (seen.failed[name] ?? 0) + 1;
    if (DEATHS.has(name)) subject.judge = judges(expectation).get(subject.path) ?? subject.judge;
  }
  seen.longestStallMs = Math.max(seen.longestStallMs, performance.now() - startMs);
}

function turn(): void {
  for (const subject of subjects) look(subject);
  if (!ended) setTimeout(turn, PAUSE_MS);
}

const lines = createInterface({ input: process.stdin });
lines.on("line", () => {
  process.stdout.write(`${JSON.stringify(seen)}\n`);
  seen = nothing();
});
lines.on("close", () => (ended = true));
turn();
