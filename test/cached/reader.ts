/**
 * Reads one file again and again and judges each answer; a process of its own, so that several read
 * at once. Prints one line of JSON when its time is over.
 *
 *     reader FILE SECONDS EXPECTED        EXPECTED: a regular expression that every text must match
 */
import { closeSync, openSync, readSync } from "node:fs";

const [file = "", seconds = "1", expected = ""] = process.argv.slice(2);
const pattern = new RegExp(expected, "s");
const buffer = Buffer.alloc(65536);
const untilMs = performance.now() + Number(seconds) * 1000;
let reads = 0;
let failures = 0;
let wrong = "";
while (performance.now() < untilMs) {
  reads++;
  try {
    const fd = openSync(file, "r");
    const length = readSync(fd, buffer, 0, buffer.length, 0);
    closeSync(fd);
    const text = buffer.toString("latin1", 0, length);
    if (!text.endsWith("\n") || text.includes("\0") || !pattern.test(text)) wrong ||= text;
  } catch (error) {
    failures++;
    wrong ||= String(error);
  }
}
process.stdout.write(JSON.stringify({ reads, failures, wrong }));
