/** The load generators: compiled when needed, run inside a container, their one-line results read. */
import { mkdirSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import type { Container } from "../test/support/container.ts";
import { projectRoot } from "../test/support/project.ts";
import { installed, run } from "../test/support/run.ts";

/** What a load generator says about one run. Times in nanoseconds. */
export interface LoadResult {
  readonly ops: number;
  readonly seconds: number;
  readonly errors: number;
  /** Reads whose content failed a check. */
  readonly wrong: number;
  readonly bytes: number;
  readonly meanNs: number;
  readonly p50Ns: number;
  readonly p90Ns: number;
  readonly p99Ns: number;
  readonly p999Ns: number;
  readonly maxNs: number;
  /** The first wrong content, or the first error's text. */
  readonly firstWrong: string;
}

export interface LoadOptions {
  readonly readers: number;
  /** One descriptor per reader, re-read from 0, instead of open + read + close. */
  readonly held?: boolean;
  readonly seconds?: number;
  /** Instead of a time: so many reads by each reader. */
  readonly opsPerReader?: number;
  readonly checks?: readonly string[];
}

/** Compiles `bench/<name>.c` unless that is done; @returns the program's path. */
export function compiled(name: "load" | "fleet" | "many" | "floor"): string {
  const directory = join(projectRoot, ".cache/bench");
  mkdirSync(directory, { recursive: true });
  const program = join(directory, name);
  const sources = ["measure.h", `${name}.c`].map((file) => join(projectRoot, "bench", file));
  if (sources.some((source) => modifiedMs(source) > modifiedMs(program))) {
    if (!installed("cc")) installCompiler();
    run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, sources[1] ?? ""]);
  }
  return program;
}

/** Runs readers of `path` inside `container`. @throws Error if the generator itself fails */
export function runLoad(container: Container, path: string, options: LoadOptions): LoadResult {
  const argv = [compiled("load"), "-f", path, "-r", String(options.readers)];
  if (options.opsPerReader === undefined) argv.push("-s", String(options.seconds ?? 1));
  else argv.push("-o", String(options.opsPerReader));
  if (options.held === true) argv.push("-h");
  const output = container.exec([...argv, ...(options.checks ?? [])], { timeoutMs: 120_000 });
  return parseResult(output);
}

/** Reads a generator's JSON line. @throws Error if it is none */
export function parseResult(line: string): LoadResult {
  const { histogram: _, ...result } = JSON.parse(line) as LoadResult & { histogram: unknown };
  return result;
}

/**
 * The checks every content of `file` must pass in a container limited to `memoryKb` and all CPUs.
 * An empty diskstats or swaps is no error: a container need not have used a disk.
 */
export function checksFor(file: string, memoryKb: number): string[] {
  switch (file) {
    case "proc/meminfo":
      return ["-c", `MemTotal:${String(memoryKb).padStart(15)} kB`, "-c", "\nSwapFree:"];
    case "proc/stat":
      return ["-c", "\ncpu0 ", "-c", "\nbtime ", "-k", `${cpus().length}:\ncpu`];
    case "proc/cpuinfo":
      return ["-k", `${cpus().length}:processor\t:`];
    case "proc/uptime":
      return ["-n", "2", "-m"];
    case "proc/loadavg":
      return ["-n", "3"];
    case "proc/swaps":
      return ["-c", "Filename"];
    case "sys/devices/system/cpu/online":
      return ["-c", "0"];
    default:
      return ["-e"];
  }
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Fails loudly in the run that follows if this does not help. */
function installCompiler(): void {
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  run(["apt-get", "update", "-qq"], { timeoutMs: 120_000, environment });
  run(["apt-get", "install", "-y", "-qq", "gcc", "libc6-dev"], { timeoutMs: 300_000, environment });
}
