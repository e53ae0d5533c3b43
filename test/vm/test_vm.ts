/**
 * `npm run test:vm`: runs the suites in machines of every cgroup layout, all of them or those named;
 * ends with one line per suite and one that adds them up.
 *
 * Exit status: 0 all passed; that of the first test file that failed; 77 skipped, since this machine can have no guest
 * (the reason is told); 125 the bench itself failed.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { closingLine, type Counts, NO_COUNTS, sum } from "../../tools/counts.ts";
import { type Outcome, runLanes } from "./lanes.ts";
import { stageKubernetes } from "./kubernetes.ts";
import { type Layout, layouts, parseLayout } from "./layout.ts";
import { BENCH_FAILED, isUnavailable, SKIPPED, withMachines } from "./session.ts";
import type { Share } from "./qemu.ts";
import { guestFiles, guestSuites, KUBELET_SUITE, shortLayouts } from "./suites.ts";

const usage = `usage: npm run test:vm -- [OPTION]... [SUITE]...
Suites: ${guestSuites.map((suite) => suite.name).join(", ")}. Without any: the long form (suites.ts).
  --layout v2|v1|hybrid   on this layout only; may be repeated
  --file NAME             this file of the suites only (limits, or limits.test.ts); may be repeated
  --short                 what npm test runs: the essentials, on ${shortLayouts.join(", ")}
  --every                 every file of every suite: an hour a layout
  --once                  what fails is not run again (else twice at most)
  --machines N            so many side by side (default 2)
  --minutes N             begin nothing after so many (default 60): what is left is skipped
  --counts FILE           write the sums there, as JSON`;

/** How often a file that failed is run again. */
const RUNS_AGAIN = 2;

/** What was begun before --minutes were over may go on for so long. */
const GRACE_MS = 360_000;

interface Options {
  readonly layouts: readonly Layout[];
  readonly suites: readonly string[];
  readonly files: readonly string[];
  readonly short: boolean;
  readonly every: boolean;
  readonly once: boolean;
  readonly machines: number;
  readonly minutes: number;
  readonly countsFile: string | undefined;
}

function options(): Options | undefined {
  const { values, positionals } = parseArgs({
    options: {
      short: { type: "boolean", default: false },
      every: { type: "boolean", default: false },
      once: { type: "boolean", default: false },
      layout: { type: "string", multiple: true, default: [] },
      file: { type: "string", multiple: true, default: [] },
      machines: { type: "string", default: "2" },
      minutes: { type: "string", default: "60" },
      counts: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) return undefined;
  const unknown = positionals.find((name) => guestSuites.every((suite) => suite.name !== name));
  if (unknown !== undefined) throw new RangeError(`There is no suite "${unknown}"\n${usage}`);
  const wanted = values.layout.map(parseLayout);
  const ofForm = values.short ? shortLayouts : layouts;
  return {
    layouts: wanted.length > 0 ? wanted : ofForm,
    suites: positionals,
    files: values.file.map((name) => name.replace(/\.test\.[jt]s$/, "")),
    short: values.short,
    every: values.every,
    once: values.once,
    machines: positive("--machines", values.machines),
    minutes: positive("--minutes", values.minutes),
    countsFile: values.counts,
  };
}

function positive(flag: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new RangeError(`Cannot take ${flag} ${text}: must be above 0`);
  return number;
}

/** One line per layout and suite. */
function summary(outcomes: readonly Outcome[]): string {
  const groups = new Map<string, Outcome[]>();
  for (const outcome of outcomes) {
    const title = `${outcome.files.layout.padEnd(7)} ${outcome.files.suite}`;
    groups.set(title, [...(groups.get(title) ?? []), outcome]);
  }
  const lines = [...groups].map(([title, group]) => {
    const total = (what: "seconds" | "cpuSeconds") =>
      group.reduce((all, each) => all + each[what], 0).toFixed(0);
    const counts = closingLine(sum(group.map((each) => each.counts)));
    return `${title.padEnd(21)} ${counts}  (${total("seconds")} s, ${total("cpuSeconds")} s of CPU)`;
  });
  return lines.toSorted().join("\n");
}

async function main(): Promise<number> {
  const given = options();
  if (given === undefined) {
    console.log(usage);
    return 0;
  }
  const files = guestFiles(given);
  if (files.length === 0) throw new RangeError("No test file is what was asked for");
  const startMs = performance.now();
  const outcomes = await withMachines(
    (boot) =>
      runLanes(files, {
        boot,
        machines: given.machines,
        runsAgain: given.once ? 0 : RUNS_AGAIN,
        deadlineMs: startMs + given.minutes * 60_000,
        graceMs: GRACE_MS,
        print: (layout, line) => process.stdout.write(`${layout.padEnd(6)} | ${line}\n`),
      }),
    files.some(({ suite }) => suite === KUBELET_SUITE) ? kubernetes() : [],
  );
  if (isUnavailable(outcomes)) {
    console.log(`skipped: no virtual machine can be had here: ${outcomes.unavailable}`);
    finish({ ...NO_COUNTS, skipped: files.flatMap(({ paths }) => paths).length }, given);
    return SKIPPED;
  }
  const counts = sum(outcomes.map((outcome) => outcome.counts));
  process.stdout.write(`\n${summary(outcomes)}\n\n`);
  for (const file of counts.unsteady) console.log(`unsteady: ${file} passed only when run again`);
  console.log(`${((performance.now() - startMs) / 1000).toFixed(0)} s in all`);
  finish(counts, given);
  if (counts.passed === 0) return BENCH_FAILED;
  return outcomes.find(({ status }) => status !== 0)?.status ?? 0;
}

/** Without it the suite skips, and says why. */
function kubernetes(): Share[] {
  const staged = stageKubernetes();
  if (typeof staged !== "string") return [staged];
  console.log(`no kubelet for guests: ${staged}`);
  return [];
}

function finish(counts: Counts, { countsFile }: Options): void {
  console.log(closingLine(counts));
  if (countsFile !== undefined) writeFileSync(countsFile, JSON.stringify(counts));
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
