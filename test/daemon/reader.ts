/**
 * A program that reads a file over and over until its standard input closes, then says what it saw.
 * Its own process, so that it is stopped by nothing but the filesystem.
 *
 * Usage: reader.js FILE BEGINNING
 */
import { closeSync, openSync, readSync } from "node:fs";

/** What one reader saw. */
export interface Readings {
  reads: number;
  /** Errors by name, and answers that do not begin as they must. */
  failures: string[];
  /** The longest open + read + close, in milliseconds. */
  slowestMs: number;
}

const [file = "", beginning = ""] = process.argv.slice(2);
const buffer = Buffer.alloc(65536);
const readings: Readings = { reads: 0, failures: [], slowestMs: 0 };
let ended = false;

process.stdin.on("end", () => (ended = true)).resume();

function readOnce(): void {
  const fd = openSync(file, "r");
  try {
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    const text = buffer.toString("latin1", 0, length);
    if (!text.startsWith(beginning)) readings.failures.push(JSON.stringify(text.slice(0, 40)));
  } finally {
    closeSync(fd);
  }
}

function turn(): void {
  // Some reads between two looks at standard input, and a pause: other tests run beside this one.
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    try {
      readOnce();
    } catch (error) {
      readings.failures.push(error instanceof Error ? error.message : String(error));
    }
    readings.slowestMs = Math.max(readings.slowestMs, performance.now() - startMs);
    readings.reads++;
  }
  if (ended) process.stdout.write(JSON.stringify(readings));
  else setTimeout(turn, 1);
}
turn();
