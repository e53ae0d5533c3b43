/**
 * Runs every test of the project, or the suites named on the command line, one suite after the
 * other, and ends with one line that adds them up. A suite is a folder of tests; what each needs and
 * how long it takes is in docs/testing.md.
 *
 * Many tests measure time on a real machine, which may be busy with something else. So a file that
 * fails is run again, twice at most; if it passes then, it counts, and is named as unsteady at the end.
 *
 *     npm test                    everything
 *     npm test -- unit fuse       these suites only
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Suite {
  readonly name: string;
  /** Where its tests lie below dist/; nothing for a check that is a program. */
  readonly folder?: string;
  readonly command?: readonly string[];
  /** Tests that share no kernel state may run side by side. */
  readonly concurrency: number;
  /** Longest time one test file may take. */
  readonly timeoutSeconds: number;
}

/** Longest time one file of a suite may take, where that is more than most need. */
const SLOW_SECONDS: Readonly<Record<string, number>> = { vm: 1800, k8s: 900, package: 900 };
const MOST_SECONDS = 500;

/** How often a file that failed is run again. */
const RUNS_AGAIN = 2;

const SUITES: readonly Suite[] = [
  check("lint", ["npm", "run", "-s", "lint"]),
  check("setup", ["sh", "tools/setup-debian.sh"]),
  { name: "unit", folder: "src", concurrency: 2, timeoutSeconds: 180 },
  { name: "tools", folder: "tools", concurrency: 2, timeoutSeconds: 120 },
  { name: "bench", folder: "bench", concurrency: 2, timeoutSeconds: 120 },
  ...folders().map((folder) => suite(folder)),
];

/**
 * Folders of tests that run on this machine, in alphabetical order; the guest's run in virtual
 * machines (test/vm). The one of other people's programs is called so, for "tools" are our own.
 */
function folders(): string[] {
  if (!existsSync("dist/test")) return [];
  return readdirSync("dist/test", { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "guest")
    .map((entry) => entry.name)
    .toSorted();
}

function suite(folder: string): Suite {
  const timeoutSeconds = SLOW_SECONDS[folder] ?? MOST_SECONDS;
  const name = folder === "tools" ? "programs" : folder;
  return { name, folder: join("test", folder), concurrency: 1, timeoutSeconds };
}

function check(name: string, command: readonly string[]): Suite {
  return { name, command, concurrency: 1, timeoutSeconds: 600 };
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** Files that failed first and passed when they were run again. */
  unsteady: string[];
}

/** Test files below `folder`, in a fixed order. */
function testFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js"))
    .map((name) => join(folder, name))
    .toSorted();
}

function runCheck(command: readonly string[]): Counts {
  const [program = "", ...args] = command;
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0, unsteady: [] };
}

/** Files that share no kernel state are run together, others one by one. */
function runTests(files: readonly string[], each: Suite): Counts {
  const total: Counts = { passed: 0, failed: 0, skipped: 0, unsteady: [] };
  for (const group of each.concurrency > 1 ? [files] : files.map((file) => [file])) {
    const first = runOnce(group, each);
    let counts = first;
    for (let again = 0; again < RUNS_AGAIN && counts.failed > 0; again++) {
      counts = runOnce(group, each);
    }
    if (first.failed > 0 && counts.failed === 0) {
      total.unsteady.push(group.length === 1 ? (group[0] ?? "") : each.name);
    }
    add(total, counts);
  }
  return total;
}

function add(total: Counts, counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  total.unsteady.push(...counts.unsteady);
}

function runOnce(files: readonly string[], each: Suite): Counts {
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-test-"));
  const tap = join(folder, "tap");
  const { status } = spawnSync(
    process.execPath,
    [
      "--test",
      `--test-concurrency=${each.concurrency}`,
      `--test-timeout=${each.timeoutSeconds * 1000}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      "--test-reporter=tap",
      `--test-reporter-destination=${tap}`,
      ...files,
    ],
    // A test must not believe that it is a child of another test run.
    { stdio: "inherit", env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  );
  const text = existsSync(tap) ? readFileSync(tap, "utf8") : "";
  rmSync(folder, { recursive: true, force: true });
  const count = (word: string): number =>
    Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  const failed = count("fail") + count("cancelled");
  return {
    passed: count("pass"),
    // A runner that died without a word is a failure, too.
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: count("skipped") + count("todo"),
    unsteady: [],
  };
}

function main(wanted: readonly string[]): number {
  const unknown = wanted.find((name) => SUITES.every((each) => each.name !== name));
  if (unknown !== undefined) {
    const names = SUITES.map((each) => each.name).join(", ");
    process.stderr.write(`test: no suite "${unknown}"; there are ${names}\n`);
    return 2;
  }
  const total: Counts = { passed: 0, failed: 0, skipped: 0, unsteady: [] };
  const lines: string[] = [];
  for (const each of SUITES) {
    if (wanted.length > 0 && !wanted.includes(each.name)) continue;
    const files = each.folder === undefined ? [] : testFiles(join("dist", each.folder));
    if (each.command === undefined && files.length === 0) continue;
    const startMs = performance.now();
    process.stdout.write(`\n=== ${each.name}\n`);
    const counts = each.command ? runCheck(each.command) : runTests(files, each);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    add(total, counts);
    lines.push(
      `${each.name.padEnd(14)} ${counts.passed} passed, ${counts.failed} failed, ` +
        `${counts.skipped} skipped  (${seconds} s)`,
    );
  }
  process.stdout.write(`\n${lines.join("\n")}\n\n`);
  for (const file of total.unsteady)
    process.stdout.write(`unsteady: ${file} passed only when run again\n`);
  process.stdout.write(
    `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`,
  );
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
