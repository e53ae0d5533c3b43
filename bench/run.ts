/**
 * The benchmark: this project, Debian's lxcfs, a null file on our mount, the floor of all servers in
 * user space and the kernel's own files,
 * read from inside the same containers, in turn. See docs/performance.md.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../test/support/project.ts";
import { peerInstalled } from "../test/support/server.ts";
import { describeMachine } from "./machine.ts";
import { Measurements } from "./measurement.ts";
import { type Options, parseOptions, USAGE } from "./options.ts";
import { plot } from "./plot.ts";
import { report, reportVerdicts } from "./report.ts";
import type { BenchResult } from "./result.ts";
import { runDepths } from "./scenarios/depth.ts";
import { runLists } from "./scenarios/lists.ts";
import { type MemoryResult, runMany } from "./scenarios/many.ts";
import { runReads } from "./scenarios/read.ts";
import { runStarts } from "./scenarios/start.ts";
import { runSyscalls, type SyscallResult } from "./scenarios/syscalls.ts";
import { Servers } from "./subjects.ts";
import { judge } from "./targets.ts";

/** Runs what `options` ask for. Progress goes to `say`. */
async function bench(options: Options, say: (line: string) => void): Promise<BenchResult> {
  const machine = describeMachine();
  const measurements = new Measurements();
  const wants = (scenario: string): boolean => options.scenarios.includes(scenario);
  const starts = wants("start") ? await runStarts(options, say) : [];
  const lists = wants("lists") ? await runLists(options, say) : [];
  const inUse = await Servers.start(options);
  let syscalls: SyscallResult[] = [];
  try {
    if (wants("read")) await runReads(inUse, options, measurements, say);
    if (wants("syscalls")) syscalls = await runSyscalls(inUse, options, say);
  } finally {
    await inUse.stop();
  }
  // How the cost of a rendering grows shows only where no rendering is shared.
  const unshared = await Servers.start(options, ["--freshness", "0"]);
  let memory: MemoryResult[] = [];
  try {
    if (wants("depth")) await runDepths(unshared, options, measurements, say);
    if (wants("many")) memory = await runMany(unshared, options, measurements, say);
  } finally {
    await unshared.stop();
  }
  const secondsPerRound = options.seconds;
  const { wrong } = measurements;
  const all = measurements.all();
  return { machine, secondsPerRound, measurements: all, wrong, memory, lists, starts, syscalls };
}

function save(result: BenchResult, directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "latest.json"), `${JSON.stringify(result, rounded, 1)}\n`);
  writeFileSync(join(directory, "latest.svg"), plot(result));
}

/** Four significant digits are more than a benchmark knows. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}

async function main(): Promise<number> {
  let options: Options;
  if (process.argv.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  try {
    options = parseOptions(process.argv.slice(2), join(projectRoot, "bench/results"));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error("The benchmark mounts filesystems and makes containers: run it as root");
    return 2;
  }
  if (!options.noPeer && !peerInstalled()) {
    console.error("Debian's lxcfs is not installed: apt-get install lxcfs, or give --no-peer");
    return 2;
  }
  const result = await bench(options, (line) => console.error(line));
  console.log(report(result));
  // What lxcfs answers wrongly (swaps, read again on one descriptor) is told, and has no figures.
  const wrong = result.wrong.filter((text) => !text.startsWith("peer,"));
  if (options.out !== "" && wrong.length === 0) save(result, options.out);
  const verdicts = judge(result);
  console.log(`\n${reportVerdicts(verdicts)}`);
  if (result.wrong.length > wrong.length) {
    console.error(`\nlxcfs gave wrong contents ${result.wrong.length - wrong.length} times`);
  }
  if (wrong.length > 0) {
    console.error(`\nWRONG CONTENT was read, so this is no result:\n${wrong.join("\n")}`);
    return 1;
  }
  return options.check && verdicts.some(({ met }) => met === false) ? 1 : 0;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
process.exitCode = await main();
