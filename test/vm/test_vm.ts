/**
 * `npm run test:vm`: boots a machine per cgroup layout and runs the suites in it, all of them or
 * those named; ends with one line per suite and one that adds them up.
 *
 * Exit status: 0 all passed; the guest's own if a suite failed; 77 skipped, since this machine can
 * have no guest (the reason is told); 125 the bench itself failed.
 */
import { parseArgs } from "node:util";
import { type Layout, layouts, parseLayout } from "./layout.ts";
import type { Machine } from "./machine.ts";
import { GUEST_PROJECT } from "./project.ts";
import { BENCH_FAILED, isUnavailable, SKIPPED, withMachine } from "./session.ts";
import { type GuestSuite, guestSuites, shortLayouts, testFiles } from "./suites.ts";

const usage = `usage: npm run test:vm -- [--short] [--layout v2|v1|hybrid]... [SUITE]...
Suites: ${guestSuites.map((suite) => suite.name).join(", ")}. Without any: all, on all layouts.
--short runs on ${shortLayouts.join(", ")} what npm test runs.`;

interface Outcome {
  readonly layout: Layout;
  readonly suite: string;
  readonly status: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
}

/** Where the second reporter writes in the guest. */
const TAP = "/run/lxcfs-test.tap";

async function runSuite(
  machine: Machine,
  layout: Layout,
  suite: GuestSuite,
  files: readonly string[],
): Promise<Outcome> {
  process.stdout.write(`\n=== ${layout}: ${suite.name}\n`);
  const startMs = performance.now();
  const timeoutMs = suite.timeoutSeconds * 1000;
  const reporters = ["spec", "stdout", "tap", TAP].map((value, i) =>
    i % 2 === 0 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`,
  );
  const options = ["--test-concurrency=1", `--test-timeout=${timeoutMs}`, ...reporters];
  const status = await machine.job(["node", "--test", ...options, ...files], {
    cwd: GUEST_PROJECT,
    timeoutMs: timeoutMs * files.length,
  });
  let tap = "";
  await machine.job(["sh", "-c", `cat ${TAP}; rm ${TAP}`], {
    stdout: (bytes) => (tap += bytes.toString("latin1")),
  });
  const count = (word: string) => Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(tap)?.[1] ?? 0);
  const failed = count("fail") + count("cancelled");
  return {
    layout,
    suite: suite.name,
    status,
    passed: count("pass"),
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: count("skipped") + count("todo"),
    seconds: (performance.now() - startMs) / 1000,
  };
}

function summary(outcomes: readonly Outcome[]): string {
  const lines = outcomes.map(
    ({ layout, suite, passed, failed, skipped, seconds }) =>
      `${layout.padEnd(7)} ${suite.padEnd(13)} ${passed} passed, ${failed} failed, ` +
      `${skipped} skipped  (${seconds.toFixed(1)} s)`,
  );
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, o) => total + of(o), 0);
  const passed = sum((o) => o.passed);
  const failed = sum((o) => o.failed);
  const skipped = sum((o) => o.skipped);
  return `\n${lines.join("\n")}\n\n${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      short: { type: "boolean", default: false },
      layout: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", short: "h", default: false },
    },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => guestSuites.every((suite) => suite.name !== name));
  if (values.help || unknown !== undefined) {
    console.error(unknown === undefined ? usage : `test:vm: no suite "${unknown}"\n${usage}`);
    return unknown === undefined ? 0 : BENCH_FAILED;
  }
  const wanted = values.layout.map(parseLayout);
  const ofForm = values.short ? shortLayouts : layouts;
  const outcomes: Outcome[] = [];
  for (const layout of wanted.length > 0 ? wanted : ofForm) {
    const runs = guestSuites
      .filter((suite) => positionals.length === 0 || positionals.includes(suite.name))
      .filter((suite) => suite.layouts.includes(layout))
      .map((suite) => ({ suite, files: testFiles(suite, values.short) }))
      .filter(({ files }) => files.length > 0);
    if (runs.length === 0) continue;
    const result = await withMachine({ layout }, async (machine) => {
      for (const { suite, files } of runs) {
        outcomes.push(await runSuite(machine, layout, suite, files));
      }
    });
    if (isUnavailable(result)) {
      console.log(`skipped: no virtual machine can be had here: ${result.unavailable}`);
      return SKIPPED;
    }
  }
  process.stdout.write(summary(outcomes));
  if (outcomes.every(({ passed }) => passed === 0)) return BENCH_FAILED;
  return outcomes.find(({ status }) => status !== 0)?.status ?? 0;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error(`test:vm: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = BENCH_FAILED;
  },
);
