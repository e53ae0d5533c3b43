/**
 * Runs every test of the project, or the suites named on the command line, one suite after the
 * other, and ends with one line that adds them up. A suite is a folder of tests; what each needs and
 * how long it takes is in docs/testing.md.
 *
 * Many tests measure time on a real machine, which may be busy with something else. So a file that
 * fails is run again, twice at most; if it passes then, it counts, and is named as unsteady at the end.
 *
 *     npm test                    everything, of the virtual machines the short form
 *     npm test -- --all           everything, of the virtual machines the long form
 *     npm test -- unit fuse       these suites only
 *
 * With --minutes N the long form of the virtual machines begins nothing after so many: it leaves out what
 * there is no time for and counts it as skipped; if there is hardly any, the short form takes its place.
 * All else is run, however long it takes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { closingLine, type Counts, countsOf, NO_COUNTS, sum, testLines } from "./counts.ts";

interface Suite {
  readonly name: string;
  /** Where its tests lie below dist/; nothing for a check that is a program. */
  readonly folder?: string;
  readonly command?: readonly string[];
  /** The program runs tests: it takes --counts FILE and --minutes N (test/vm/test_vm.ts). */
  readonly counts?: boolean;
  /** "long" runs only when it is named, or with --all; then "short", a part of it, only in its place. */
  readonly form?: "short" | "long";
  /** Tests that share no kernel state may run side by side. */
  readonly concurrency: number;
  /** Longest time one test file may take. */
  readonly timeoutSeconds: number;
}

/** Longest time one file of a suite may take, where that is more than most need. */
const SLOW_SECONDS: Readonly<Record<string, number>> = { k8s: 900, package: 900 };
const MOST_SECONDS = 500;

/** What the short form may take, whatever time is left. */
const SHORT_FORM_MINUTES = 20;

/** With less time left than this the short form takes the place of the long one. */
const LONG_FORM_LEAST_MINUTES = 3;

/** How often a file that failed is run again. */
const RUNS_AGAIN = 2;

const REPORTER = join(import.meta.dirname, "reporter.js");

const VM = [process.execPath, "dist/test/vm/test_vm.js"];

/** "tools" are our own, and "vm" is what runs in machines. */
const OTHER_NAMES: Readonly<Record<string, string>> = { tools: "programs", vm: "vm_runner" };

/** Suites that run in virtual machines only. */
const OF_GUESTS: ReadonlySet<string> = new Set(["guest", "kubelet"]);

const SUITES: readonly Suite[] = [
  check("lint", ["npm", "run", "-s", "lint"]),
  check("setup", ["sh", "tools/setup-debian.sh"]),
  { name: "unit", folder: "src", concurrency: 2, timeoutSeconds: 180 },
  { name: "tools", folder: "tools", concurrency: 2, timeoutSeconds: 120 },
  { name: "bench", folder: "bench", concurrency: 2, timeoutSeconds: 120 },
  ...folders().map((folder) => suite(folder)),
  { ...check("vm", [...VM, "--short"]), counts: true, form: "short" },
  { ...check("vm_long", VM), counts: true, form: "long" },
];

/** Folders of tests that run on this machine, in alphabetical order. */
function folders(): string[] {
  if (!existsSync("dist/test")) return [];
  return readdirSync("dist/test", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !OF_GUESTS.has(entry.name))
    .map((entry) => entry.name)
    .toSorted();
}

function suite(folder: string): Suite {
  const timeoutSeconds = SLOW_SECONDS[folder] ?? MOST_SECONDS;
  const name = OTHER_NAMES[folder] ?? folder;
  return { name, folder: join("test", folder), concurrency: 1, timeoutSeconds };
}

function check(name: string, command: readonly string[]): Suite {
  return { name, command, concurrency: 1, timeoutSeconds: 600 };
}

/** Test files below `folder`, in a fixed order. */
function testFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js"))
    .map((name) => join(folder, name))
    .toSorted();
}

function runCheck({ command = [], counts = false }: Suite, minutesLeft: number): Counts {
  const [program = "", ...args] = command;
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-test-"));
  const file = join(folder, "counts");
  if (counts) args.push("--counts", file, "--minutes", minutesLeft.toFixed(2));
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  const given = counts && existsSync(file) ? readFileSync(file, "utf8") : undefined;
  rmSync(folder, { recursive: true, force: true });
  if (given !== undefined) return JSON.parse(given) as Counts;
  const ok = status === 0;
  return { ...NO_COUNTS, passed: ok ? 1 : 0, failed: ok ? 0 : 1 };
}

/** Files that share no kernel state are run together, others one by one. */
function runTests(files: readonly string[], each: Suite): Counts {
  const groups = each.concurrency > 1 ? [files] : files.map((file) => [file]);
  return sum(groups.map((group) => runGroup(group, each)));
}

/** What fails is run again. */
function runGroup(group: readonly string[], each: Suite): Counts {
  let counts = runOnce(group, each);
  for (let again = 0; again < RUNS_AGAIN && counts.failed > 0; again++) {
    counts = runOnce(group, each);
    if (counts.failed > 0) continue;
    return { ...counts, unsteady: [group.length === 1 ? (group[0] ?? "") : each.name] };
  }
  return counts;
}

function runOnce(files: readonly string[], each: Suite): Counts {
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-test-"));
  const results = join(folder, "results");
  const { status } = spawnSync(
    process.execPath,
    [
      "--test",
      `--test-concurrency=${each.concurrency}`,
      `--test-timeout=${each.timeoutSeconds * 1000}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      `--test-reporter=${REPORTER}`,
      `--test-reporter-destination=${results}`,
      ...files,
    ],
    // A test must not believe that it is a child of another test run.
    { stdio: "inherit", env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  );
  const text = existsSync(results) ? readFileSync(results, "utf8") : "";
  rmSync(folder, { recursive: true, force: true });
  return countsOf(testLines(text), status);
}

interface Arguments {
  readonly wanted: readonly string[];
  readonly all: boolean;
  readonly minutes: number;
}

function readArguments(): Arguments {
  const { values, positionals } = parseArgs({
    options: {
      all: { type: "boolean", default: false },
      minutes: { type: "string", default: "600" },
    },
    allowPositionals: true,
  });
  const unknown = positionals.find((name) => SUITES.every((each) => each.name !== name));
  if (unknown !== undefined) {
    const names = SUITES.map((each) => each.name).join(", ");
    throw new RangeError(`no suite "${unknown}"; there are ${names}`);
  }
  return { wanted: positionals, all: values.all, minutes: Number(values.minutes) };
}

function isWanted(suite: Suite, { wanted, all }: Arguments): boolean {
  if (wanted.length > 0) return wanted.includes(suite.name);
  return suite.form !== "long" || all;
}

/** The short form is a part of the long one: where that is to run, it runs only in its place. */
function isDue({ form }: Suite, { wanted, all }: Arguments, minutesLeft: number): boolean {
  const longRuns = all && wanted.length === 0 && minutesLeft >= LONG_FORM_LEAST_MINUTES;
  return form !== "short" || !longRuns;
}

function main(): number {
  const given = readArguments();
  const endMs = performance.now() + given.minutes * 60_000;
  const results: Counts[] = [];
  const lines: string[] = [];
  for (const each of SUITES.filter((suite) => isWanted(suite, given))) {
    const minutesLeft = (endMs - performance.now()) / 60_000;
    if (!isDue(each, given, minutesLeft)) continue;
    const files = each.folder === undefined ? [] : testFiles(join("dist", each.folder));
    if (each.command === undefined && files.length === 0) continue;
    const startMs = performance.now();
    process.stdout.write(`\n=== ${each.name}\n`);
    const counts = runSuite(each, files, minutesLeft);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    results.push(counts);
    lines.push(`${each.name.padEnd(14)} ${closingLine(counts)}  (${seconds} s)`);
  }
  const total = sum(results);
  process.stdout.write(`\n${lines.join("\n")}\n\n`);
  for (const file of total.unsteady)
    process.stdout.write(`unsteady: ${file} passed only when run again\n`);
  process.stdout.write(`${closingLine(total)}\n`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function runSuite(each: Suite, files: readonly string[], minutesLeft: number): Counts {
  if (each.command === undefined) return runTests(files, each);
  if (each.form === "short") return runCheck(each, SHORT_FORM_MINUTES);
  if (each.form === "long" && minutesLeft < LONG_FORM_LEAST_MINUTES) {
    process.stdout.write("skipped: no time is left for it\n");
    return { ...NO_COUNTS, skipped: 1 };
  }
  return runCheck(each, minutesLeft);
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
  process.stderr.write(`test: ${error.message}\n`);
  process.exitCode = 2;
}
