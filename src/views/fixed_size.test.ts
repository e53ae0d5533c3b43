import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseKeyedNumbers } from "../host/keyed_numbers.ts";
import { parseStat } from "../host/stat.ts";
import { Host } from "../machine/host.ts";
import { readFile } from "../sys/read.ts";
import { fixedSizes } from "./fixed_size.ts";

const host = new Host();
const sizes = fixedSizes(host);

function fit(path: string, text: string): string {
  const view = sizes.get(path);
  assert.ok(view, `${path} has a constant size on this host`);
  const fitted = view.fit(text);
  assert.ok(fitted !== undefined, `${path} fits its ${view.bytes} bytes: ${text.length}`);
  assert.equal(Buffer.byteLength(fitted), view.bytes);
  return fitted;
}

/** What a shell's `read`, awk, Python's split and the scanf family agree on. */
function words(text: string): string[][] {
  return text.split("\n").map((line) => line.split(/\s+/).filter(Boolean));
}

test("the kernel's own files fit, and say the same to whoever splits at blanks", () => {
  for (const name of ["meminfo", "uptime", "loadavg", "swaps"]) {
    const text = readFile(`/proc/${name}`);
    assert.deepEqual(words(fit(`proc/${name}`, text)), words(text), name);
  }
});

test("meminfo's values stay where they are", () => {
  const text = readFile("/proc/meminfo");
  const fitted = parseKeyedNumbers(fit("proc/meminfo", text));
  assert.deepEqual([...fitted.values], [...parseKeyedNumbers(text).values]);
});

test("stat is filled with interrupts that never came", () => {
  const text =
    "cpu  1 2 3 4 0 0 0 0 0 0\ncpu0 1 2 3 4 0 0 0 0 0 0\nintr 55\nctxt 6\nbtime 7\nprocesses 8\nprocs_running 1\nprocs_blocked 0\nsoftirq 9 1 2\n";
  for (const extra of ["", "0", "00"]) {
    const own = text.replace("intr 55", `intr 55${extra}`);
    const parsed = parseStat(fit("proc/stat", own));
    const { rest: _, ...expected } = parseStat(own);
    const { rest: __, ...found } = parsed;
    assert.deepEqual(found, expected);
  }
});

test("any numbers up to twelve digits fit stat, and up to ten meminfo", () => {
  const cpus = host.onlineCpus().length;
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 999_999_999_999 }), (ticks) => {
      const row = `${ticks} 0 ${ticks} ${ticks} 0 0 0 0 0 0\n`;
      let text = `cpu  ${row}`;
      for (let cpu = 0; cpu < cpus; cpu++) text += `cpu${cpu} ${row}`;
      text += `intr ${ticks}\nctxt ${ticks}\nbtime 1795432057\nprocesses 4194304\nprocs_running 9999\nprocs_blocked 9999\nsoftirq ${`${ticks} `.repeat(11).trim()}\n`;
      fit("proc/stat", text);
    }),
  );
  const large = readFile("/proc/meminfo").replace(
    /^(\S+:) *(\d+)/gm,
    (_, name: string) => `${name.padEnd(16)}9999999999`,
  );
  fit("proc/meminfo", large);
});

test("a text that has outgrown its size is refused, never cut", () => {
  assert.equal(sizes.get("proc/uptime")?.fit(`${"1".repeat(80)}\n`), undefined);
});
