/** Whatever a file says, a parser gives a result or a ParseError, on every captured kernel and on noise. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import fc from "fast-check";
import { fixtureNames, unpackFixture } from "../../tools/fixture.ts";
import { parseCpuList, parseCpuMask } from "./cpu_list.ts";
import { parseCpuinfo } from "./cpuinfo.ts";
import { parseDiskstats } from "./diskstats.ts";
import { parseKeyedNumbers } from "./keyed_numbers.ts";
import { parseLoadavg } from "./loadavg.ts";
import { parseMeminfo } from "./meminfo.ts";
import { parseMountinfo } from "./mountinfo.ts";
import { parseNodeMeminfo } from "./node.ts";
import { parsePageBytes } from "./page_size.ts";
import { ParseError } from "./parse_error.ts";
import { parsePartitions } from "./partitions.ts";
import { parsePersonality } from "./personality.ts";
import { parsePressure } from "./pressure.ts";
import { parseProcCgroup } from "./proc_cgroup.ts";
import { parseProcessStat, processState } from "./proc_stat.ts";
import { parseProcessStatus } from "./proc_status.ts";
import { parseStat } from "./stat.ts";
import { parseSwaps } from "./swaps.ts";
import { parseTimensOffsets } from "./timens_offsets.ts";
import { parseUptime } from "./uptime.ts";
import { parseVmstat } from "./vmstat.ts";

type Parser = (text: string) => unknown;

/** By path below a captured tree's top; `PID` is the captured container's first process. */
const PARSERS: Readonly<Record<string, Parser>> = {
  "/proc/cpuinfo": parseCpuinfo,
  "/proc/diskstats": parseDiskstats,
  "/proc/loadavg": parseLoadavg,
  "/proc/meminfo": (text) => parseMeminfo(text),
  "/proc/partitions": parsePartitions,
  "/proc/pressure/cpu": parsePressure,
  "/proc/pressure/io": parsePressure,
  "/proc/self/mountinfo": parseMountinfo,
  "/inside/proc/self/mountinfo": parseMountinfo,
  "/inside/proc/1/cgroup": parseProcCgroup,
  "/proc/self/auxv": (text) => parsePageBytes(Buffer.from(text, "latin1")),
  "/proc/stat": parseStat,
  "/proc/swaps": parseSwaps,
  "/proc/uptime": parseUptime,
  "/proc/vmstat": (text) => parseVmstat(text),
  "/proc/PID/cgroup": parseProcCgroup,
  "/proc/PID/personality": parsePersonality,
  "/proc/PID/stat": parseProcessStat,
  "/proc/PID/status": parseProcessStatus,
  "/proc/PID/timens_offsets": parseTimensOffsets,
  "/sys/devices/system/cpu/online": (text) => parseCpuList(text),
  "/sys/devices/system/cpu/cpu0/topology/core_cpus": (text) => parseCpuMask(text),
  "/sys/devices/system/node/node0/meminfo": (text) => parseNodeMeminfo(text),
};

const fixtures = fixtureNames().map((name) => unpackFixture(name));
after(() => fixtures.forEach((fixture) => fixture.remove()));

function captured(path: string): string[] {
  return fixtures.map(({ root, init }) =>
    readFileSync(root + path.replace("PID", String(init)), "latin1"),
  );
}

/** Runs a parser; anything but its own error fails the test. */
function parses(parser: Parser, text: string): void {
  try {
    parser(text);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
  }
}

/** A captured text, damaged as files are: cut, lines lost or doubled, characters changed. */
function damaged(texts: readonly string[]): fc.Arbitrary<string> {
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const filling = fc.oneof(
    fc.string(),
    fc.constantFrom("\n", "\0", "-1", "9".repeat(30), ")", ":"),
  );
  return fc
    .tuple(fc.constantFrom(...texts), fc.array(fc.tuple(place, place, filling), { maxLength: 4 }))
    .map(([text, edits]) =>
      edits.reduce((current, [from, length, middle]) => {
        const start = Math.floor(from * current.length);
        return current.slice(0, start) + middle + current.slice(start + Math.floor(length * 40));
      }, text),
    );
}

for (const [path, parser] of Object.entries(PARSERS)) {
  test(`${path} of every captured kernel is understood`, () => {
    for (const text of captured(path)) parser(text);
  });

  test(`${path}: any text gives a result or a ParseError`, () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => parses(parser, text)));
    fc.assert(fc.property(damaged(captured(path)), (text) => parses(parser, text)));
  });
}

test("the state letter alone never throws", () => {
  fc.assert(
    fc.property(damaged(captured("/proc/PID/stat")), (text) => {
      assert.ok(processState(text).length <= 1);
    }),
  );
});

test("a table read with another's names says the same as without", () => {
  const text = damaged(captured("/proc/meminfo"));
  fc.assert(
    fc.property(text, text, (first, second) => {
      const like = parseKeyedNumbers(first);
      const shared = parseKeyedNumbers(second, like);
      const alone = parseKeyedNumbers(second);
      assert.deepEqual(shared.names, alone.names);
      assert.deepEqual(shared.values, alone.values);
      for (const name of alone.names) assert.equal(shared.get(name), alone.get(name));
    }),
  );
});

test("every process and thread that was captured is understood", () => {
  for (const { proc } of fixtures) {
    for (const pid of readdirSync(proc).filter((name) => /^\d+$/.test(name) && name !== "1")) {
      const text = (name: string): string => readFileSync(`${proc}/${pid}/${name}`, "latin1");
      const stat = parseProcessStat(text("stat"));
      const status = parseProcessStatus(text("status"));
      assert.equal(stat.pid, Number(pid));
      assert.equal(status.pid, stat.pid);
      assert.equal(`${stat.comm}\n`, text("comm"));
      assert.equal(status.threads, stat.threads);
      assert.equal(status.parentPid, stat.parentPid);
      const tids = readdirSync(`${proc}/${pid}/task`);
      assert.equal(tids.length, stat.threads);
      for (const tid of tids) parseProcessStat(text(`task/${tid}/stat`));
    }
  }
});
