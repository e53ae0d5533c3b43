/** The parsers of cgroup files give a result for any text, and sensible numbers only. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseKeyedNumbers } from "../host/keyed_numbers.ts";
import { parseLimitBytes } from "./limits.ts";
import { parsePids } from "./processes.ts";
import { bandwidth, tightest } from "./quota.ts";
import { parseSingleValue } from "./single_value.ts";
import { parseUsageAll } from "./v1/cpu.ts";
import { parseBlkio } from "./v1/io.ts";
import { memoryStatV1 } from "./v1/memory.ts";
import { parseNumaStatV1 } from "./v1/numa.ts";
import { parseCpuMax } from "./v2/cpu.ts";
import { parseIoStat } from "./v2/io.ts";
import { memoryStatV2 } from "./v2/memory.ts";
import { parseNumaStatV2 } from "./v2/numa.ts";

/** Noise made of what these files are made of, and of anything. */
const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(
      fc.constantFrom(
        "anon",
        "N0=",
        "8:0",
        " ",
        "\n",
        "-",
        "=",
        "rbytes=",
        "Read",
        "max",
        "7",
        "1".repeat(25),
        "total_rss",
      ),
    )
    .map((parts) => parts.join("")),
);

/** Every number in a result, however deep. */
function numbersIn(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (value instanceof Map) return [...value].flatMap(numbersIn);
  if (typeof value === "object" && value !== null) return Object.values(value).flatMap(numbersIn);
  return [];
}

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  "memory.stat v1": (each) => memoryStatV1(parseKeyedNumbers(each), 0, () => 0),
  "memory.stat v2": (each) => memoryStatV2(parseKeyedNumbers(each)),
  "memory.numa_stat v1": (each) => parseNumaStatV1(each, 4096),
  "memory.numa_stat v2": parseNumaStatV2,
  "cpuacct.usage_all": parseUsageAll,
  "io.stat": parseIoStat,
  blkio: parseBlkio,
  "cgroup.procs": parsePids,
  "a single value": (each) => parseSingleValue(each),
};

for (const [name, parse] of Object.entries(PARSERS)) {
  test(`${name}: amounts, whatever the text`, () => {
    fc.assert(
      fc.property(text, (each) => {
        for (const number of numbersIn(parse(each))) assert.ok(number >= 0, String(number));
      }),
    );
  });
}

test("limits", () => {
  assert.equal(parseLimitBytes("max\n"), Infinity);
  assert.equal(parseLimitBytes("9223372036854771712\n"), Infinity);
  assert.equal(parseLimitBytes("9223372036854710272\n"), Infinity);
  assert.equal(parseLimitBytes("1048576\n"), 1048576);
  assert.equal(parseLimitBytes("0\n"), 0);
  for (const bad of ["", "maximum", "1 2", "1.5", "0x10"])
    assert.equal(parseLimitBytes(bad), undefined);
});

test("bandwidth", () => {
  assert.equal(parseCpuMax("max 100000\n", "f").cpus, Infinity);
  assert.equal(parseCpuMax("50000 100000\n", "f").cpus, 0.5);
  assert.equal(parseCpuMax("50000\n", "f").cpus, 0.5);
  for (const bad of ["", "0 100000", "-1 100000", "5 0", "5 x", "x 5", "Infinity 1"]) {
    assert.equal(parseCpuMax(bad, "f").cpus, Infinity, bad);
  }
  const levels = [bandwidth(300, 100, "a"), bandwidth(50, 50, "b"), bandwidth(100, 100, "c")];
  assert.deepEqual(tightest(levels), { cpus: 1, quotaUs: 50, periodUs: 50, file: "b", levels: 3 });
});

test("io.stat: devices without pairs, and pairs of others", () => {
  const [first, second] = parseIoStat(
    "8:0\n8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7 use_delay=x\n",
  );
  assert.deepEqual([first?.major, first?.minor, first?.readBytes], [8, 0, 0]);
  const { readBytes, writeBytes, readIos, writeIos, discardBytes, discardIos } = second ?? first!;
  assert.deepEqual(
    [readBytes, writeBytes, readIos, writeIos, discardBytes, discardIos],
    [1, 2, 3, 4, 5, 6],
  );
});
