/** Test files in a machine: run in one process, their output handed on line by line, their outcome. */
import { type Counts, countsOf, NO_COUNTS, sum, testLines } from "../../tools/counts.ts";
import type { Layout } from "./layout.ts";
import type { Machine } from "./machine.ts";
import { GUEST_PROJECT } from "./project.ts";

export interface GuestFiles {
  readonly layout: Layout;
  readonly suite: string;
  /** The built files, as paths below the project. */
  readonly paths: readonly string[];
  /** Longest time all of them may take. */
  readonly timeoutMs: number;
}

export interface FileResult {
  readonly path: string;
  readonly counts: Counts;
  /** Exit status of the process, as the guest gives it; 124 if it was ended for its time. */
  readonly status: number;
}

/** Exit status of a job that was ended for its time. */
const TIMED_OUT = 124;

/** Where the reporter writes in the guest. */
const RESULTS = "/run/lxcfs-test.results";

/**
 * Runs the files without Node's runner around them: each process takes a second here.
 * @param leftMs time that is left for all of the run: what it cuts off has not failed, and is skipped
 */
export async function runGuestFiles(
  machine: Machine,
  files: GuestFiles,
  leftMs: number,
  print: (line: string) => void,
): Promise<FileResult[]> {
  const { paths } = files;
  const timeoutMs = Math.max(0, Math.min(files.timeoutMs, leftMs));
  const reporters = ["spec", "stdout", `./dist/tools/reporter.js`, RESULTS].map((value, i) =>
    i % 2 === 0 ? `--test-reporter=${value}` : `--test-reporter-destination=${value}`,
  );
  const out = lines(print);
  const err = lines(print);
  const status = await machine.job(["node", ...reporters, "dist/test/vm/together.js", ...paths], {
    cwd: GUEST_PROJECT,
    // The clock is nobody else's.
    env: { LXCFS_TEST_SHARE: "1", LXCFS_CHAOS_CLOCK: "1" },
    timeoutMs,
    stdout: (bytes) => out.take(bytes),
    stderr: (bytes) => err.take(bytes),
  });
  out.end();
  err.end();
  if (status === TIMED_OUT) print(`ended after ${(timeoutMs / 1000).toFixed(0)} s`);
  let results = "";
  await machine.job(["sh", "-c", `cat ${RESULTS}; rm -f ${RESULTS}`], {
    timeoutMs: 60_000,
    stdout: (bytes) => (results += bytes.toString("utf8")),
    stderr: () => {},
  });
  const isCutOff = status === TIMED_OUT && leftMs < files.timeoutMs;
  return isCutOff ? resultsSoFar(paths, results) : resultsOf(paths, results, status);
}

/** What was done before time was up, and as skipped the file that was running and those after it. */
function resultsSoFar(paths: readonly string[], text: string): FileResult[] {
  const all = testLines(text);
  const reached = paths.filter((path) => all.some((line) => line.file.endsWith(path)));
  const skipped = Math.max(1, paths.length - reached.length);
  const counts = sum([countsOf(all, 0), { ...NO_COUNTS, skipped }]);
  return [{ path: "", status: TIMED_OUT, counts }];
}

function resultsOf(paths: readonly string[], text: string, status: number): FileResult[] {
  const all = testLines(text);
  const results = paths.map((path) => {
    const own = all.filter((line) => line.file.endsWith(path));
    // a file without a test has not been reached
    return { path, counts: countsOf(own, own.length === 0 ? 1 : 0), status };
  });
  const failed = results.some(({ counts }) => counts.failed > 0);
  // what failed belongs to no file: the end of a shared server, perhaps
  if (!failed && status !== 0)
    results.push({ path: "", counts: { ...NO_COUNTS, failed: 1 }, status });
  return results;
}

/** Cuts a stream into lines. */
function lines(print: (line: string) => void): { take(bytes: Buffer): void; end(): void } {
  let rest = "";
  return {
    take(bytes) {
      const whole = (rest + bytes.toString("utf8")).split("\n");
      rest = whole.pop() ?? "";
      for (const line of whole) print(line);
    },
    end() {
      if (rest !== "") print(rest);
    },
  };
}
