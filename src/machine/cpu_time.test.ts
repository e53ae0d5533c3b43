/** For any sequence of counters, CPUs and clocks: rows go forward, sums agree, nothing is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CpuTimes } from "../cgroup/types.ts";
import { advanceCpuRows, type CpuRow } from "./cpu_time.ts";
import { historyTable } from "./testing.ts";

const CPUS = 4;
const SECOND_US = 1e6;

function v2Times(userUs: number, systemUs: number, niceUs = 0): CpuTimes {
  return { usageUs: userUs + systemUs, userUs, systemUs, niceUs, perCpu: undefined };
}

function v1Times(usedUs: readonly (readonly [number, number])[]): CpuTimes {
  const perCpu = new Map(usedUs.map(([userUs, systemUs], cpu) => [cpu, { userUs, systemUs }]));
  const userUs = usedUs.reduce((sum, [user]) => sum + user, 0);
  const systemUs = usedUs.reduce((sum, [, system]) => sum + system, 0);
  return { usageUs: userUs + systemUs, userUs, systemUs, niceUs: 0, perCpu };
}

/** One container's rows over time. */
class Watched {
  readonly #table = historyTable(8, CPUS);

  at(
    seconds: number,
    hostCpus: readonly number[],
    times: CpuTimes | undefined,
    { ageSeconds = seconds, pinned = true } = {},
  ): CpuRow[] {
    const account = { boottimeUs: seconds * SECOND_US, ageUs: ageSeconds * SECOND_US, times };
    return this.#table.with(8, 0, (slot) => advanceCpuRows(slot, { hostCpus, pinned }, account));
  }
}

function busy(rows: readonly CpuRow[]): number {
  return rows.reduce((sum, row) => sum + row.userUs + row.niceUs + row.systemUs, 0);
}

function idle(rows: readonly CpuRow[]): number {
  return rows.reduce((sum, row) => sum + row.idleUs, 0);
}

function near(actual: number, expected: number, within = 1): void {
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);
}

void test("the first look shows all that was used, in the container's age", () => {
  const rows = new Watched().at(100, [0, 1], v2Times(30 * SECOND_US, 10 * SECOND_US));
  near(busy(rows), 40 * SECOND_US);
  near(idle(rows), 160 * SECOND_US);
  near(rows[0]?.userUs ?? 0, 15 * SECOND_US);
});

void test("a cgroup that is older than its first process was never idle, and never less than 0", () => {
  const rows = new Watched().at(100, [0], v2Times(500 * SECOND_US, 0), { ageSeconds: 1 });
  near(busy(rows), 500 * SECOND_US);
  near(idle(rows), 0);
});

void test("v1: each row is its CPU's own, by the host's number", () => {
  const watched = new Watched();
  const rows = watched.at(10, [1, 3], v1Times([[1e6, 0], [2e6, 1e6], [0, 0], [4e6, 0]])); // prettier-ignore
  // The first look: what ran on CPUs that are not the container's is divided.
  near(rows[0]?.systemUs ?? 0, 1e6 + (1e6 / 8) * 0.5, 1e5);
  near(busy(rows), 8e6);
  const later = watched.at(11, [1, 3], v1Times([[1e6, 0], [2.5e6, 1e6], [0, 0], [4e6, 0]])); // prettier-ignore
  near((later[0]?.userUs ?? 0) - (rows[0]?.userUs ?? 0), 0.5e6);
  near((later[1]?.userUs ?? 0) - (rows[1]?.userUs ?? 0), 0);
});

void test("nice time is taken from user time, not added to it", () => {
  const rows = new Watched().at(10, [0], v2Times(4e6, 1e6, 3e6));
  near(rows[0]?.niceUs ?? 0, 3e6);
  near(rows[0]?.userUs ?? 0, 1e6);
  near(busy(rows), 5e6);
});

void test("a counter that the kernel set back counts on from there", () => {
  const watched = new Watched();
  const before = busy(watched.at(10, [0], v2Times(8e6, 0)));
  near(busy(watched.at(11, [0], v2Times(0, 0))), before);
  near(busy(watched.at(12, [0], v2Times(0.5e6, 0))), before + 0.5e6);
});

void test("a counter that another thread read a moment ago is not counted twice", () => {
  const watched = new Watched();
  watched.at(10, [0], v2Times(8e6, 2e6));
  watched.at(10.1, [0], v2Times(7.9e6, 2.1e6));
  near(busy(watched.at(10.2, [0], v2Times(8e6, 2e6))), 10e6);
  near(busy(watched.at(10.3, [0], v2Times(8.1e6, 2e6))), 10.1e6);
});

void test("a moment in which no counter can be read loses nothing and counts nothing twice", () => {
  const watched = new Watched();
  const before = watched.at(10, [0], v2Times(8e6, 0));
  const blind = watched.at(11, [0], undefined);
  near(busy(blind), busy(before));
  near(busy(watched.at(12, [0], v2Times(8.5e6, 0))), busy(before) + 0.5e6);
});

void test("CPUs that are taken away leave their time to those that stay", () => {
  const watched = new Watched();
  const before = watched.at(10, [0, 1, 2], v2Times(3e6, 0));
  const after = watched.at(10, [0], v2Times(3e6, 0));
  assert.equal(after.length, 1);
  near(busy(after), busy(before));
  near(idle(after), idle(before));
  const back = watched.at(12, [0, 1, 2], v2Times(3e6, 0));
  near(idle(back) - idle(after), 6e6);
});

const look = fc.record({
  elapsedUs: fc.oneof(fc.integer({ min: 0, max: 5e6 }), fc.constant(-3e6)),
  /** Share of all four CPUs' time that was used meanwhile, and of that on the first CPU. */
  load: fc.double({ min: 0, max: 1, noNaN: true }),
  system: fc.double({ min: 0, max: 1, noNaN: true }),
  skew: fc.double({ min: 0, max: 1, noNaN: true }),
  reset: fc.constantFrom(false, false, false, true),
  cpus: fc.uniqueArray(fc.integer({ min: 0, max: CPUS - 1 }), { minLength: 1 }),
  pinned: fc.boolean(),
});

void test("no row goes backwards while its CPUs stay, no sum ever, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(look, { minLength: 2, maxLength: 30 }), fc.boolean(), (looks, perCpu) => {
      const watched = new Watched();
      let seconds = 50;
      let used: [number, number][] = Array.from({ length: CPUS }, () => [0, 0]);
      let last: CpuRow[] = [];
      for (const { elapsedUs, load, system, skew, reset, cpus, pinned } of looks) {
        seconds += elapsedUs / 1e6;
        const total = Math.max(0, elapsedUs) * CPUS * load;
        if (reset) used = used.map(() => [0, 0]);
        for (const [cpu, pair] of used.entries()) {
          const own = total * (cpu === 0 ? skew : (1 - skew) / (CPUS - 1));
          pair[0] += own * (1 - system);
          pair[1] += own * system;
        }
        const v1 = v1Times(used);
        const times = perCpu ? v1 : v2Times(v1.userUs, v1.systemUs);
        const sorted = cpus.toSorted((a, b) => a - b);
        const rows = watched.at(seconds, sorted, times, { ageSeconds: seconds - 49, pinned });
        assert.equal(rows.length, cpus.length);
        for (const row of rows) {
          for (const value of Object.values(row)) assert.ok(value >= 0 && value < Infinity);
        }
        // A CPU that is brought online counts from 0; all that stay go on.
        const stay = Math.min(rows.length, last.length);
        for (const [cpu, row] of rows.slice(0, stay).entries()) {
          const before = last[cpu] as CpuRow;
          for (const field of ["userUs", "niceUs", "systemUs", "idleUs"] as const) {
            assert.ok(row[field] >= before[field] - 1e-3, `${field} of CPU ${cpu}`);
          }
        }
        assert.ok(busy(rows) >= busy(last) - 1e-2, "busy time of all went back");
        assert.ok(idle(rows) >= idle(last) - 1e-2, "idle time of all went back");
        last = rows;
      }
    }),
    { numRuns: 300 },
  );
});

void test("busy is what the cgroup used, and busy and idle are what passed, in a steady state", () => {
  const steady = fc.record({
    cpus: fc.integer({ min: 1, max: CPUS }),
    load: fc.double({ min: 0, max: 1, noNaN: true }),
    system: fc.double({ min: 0, max: 1, noNaN: true }),
    steps: fc.array(fc.integer({ min: 1000, max: 2e6 }), { minLength: 1, maxLength: 40 }),
    perCpu: fc.boolean(),
  });
  fc.assert(
    fc.property(steady, ({ cpus, load, system, steps, perCpu }) => {
      const watched = new Watched();
      const hostCpus = Array.from({ length: cpus }, (_, cpu) => cpu);
      let seconds = 10;
      const used: [number, number][] = hostCpus.map(() => [0, 0]);
      const account = (): CpuTimes => {
        const v1 = v1Times(used);
        return perCpu ? v1 : v2Times(v1.userUs, v1.systemUs);
      };
      const first = watched.at(seconds, hostCpus, account(), { ageSeconds: 0 });
      let elapsedUs = 0;
      for (const stepUs of steps) {
        elapsedUs += stepUs;
        seconds = 10 + elapsedUs / 1e6;
        for (const pair of used) {
          pair[0] += stepUs * load * (1 - system);
          pair[1] += stepUs * load * system;
        }
        watched.at(seconds, hostCpus, account(), { ageSeconds: seconds });
      }
      const last = watched.at(seconds, hostCpus, account());
      const usedUs = elapsedUs * load * cpus;
      near(busy(last) - busy(first), usedUs, 1 + usedUs * 1e-9);
      const passedUs = elapsedUs * cpus;
      near(busy(last) + idle(last) - busy(first) - idle(first), passedUs, 1 + passedUs * 0.01);
    }),
    { numRuns: 300 },
  );
});

void test("two readers at different rates see the same counters", () => {
  const often = new Watched();
  const seldom = new Watched();
  let rows: CpuRow[] = [];
  for (let step = 0; step <= 100; step++) {
    const times = v2Times(step * 5000, step * 1000);
    rows = often.at(10 + step / 100, [0, 1], times, { ageSeconds: step / 100 });
    if (step === 0) seldom.at(10, [0, 1], times, { ageSeconds: 0 });
  }
  const once = seldom.at(11, [0, 1], v2Times(500_000, 100_000), { ageSeconds: 1 });
  near(busy(rows), busy(once));
  near(idle(rows), idle(once));
});

void test("CPUs beyond the room of the table are not counted, and break nothing", () => {
  const rows = new Watched().at(10, [0, 1, 2, 3, 4, 5, 6], v2Times(7e6, 0));
  assert.equal(rows.length, CPUS);
});
