/** `lxcfs attach PID|CONTAINER...|--all`: shows running containers their own files. */
import { parseArgs } from "node:util";
import { containerNames } from "../attach/identity.ts";
import { AttachPool } from "../attach/pool.ts";
import { bindingsFor } from "../attach/served.ts";
import type { Job, Outcome } from "../attach/types.ts";
import { exitNow } from "../sys/native.ts";
import * as common from "./attach_common.ts";

export function run(args: readonly string[]): Promise<number> {
  return common.command("attach", () => change("attach", args));
}

/** Attach and detach, which differ in one word. */
export async function change(kind: "attach" | "detach", args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      all: { type: "boolean", default: false },
      "dry-run": { type: "boolean", short: "n", default: false },
      json: { type: "boolean", default: false },
      mountpoint: { type: "string" },
      timeout: { type: "string", default: "5" },
    },
    allowPositionals: true,
  });
  const timeLimitMs = common.secondsToMs("timeout", values.timeout);
  const subjects = common.findSubjects(positionals, values.all);
  const bindingsOf = await bindings(kind, values.mountpoint);
  const pool = new AttachPool({ timeLimitMs });
  const dryRun = values["dry-run"];
  const outcomes = await Promise.all(
    subjects.map(({ pid }) => pool.run(job(kind, pid, bindingsOf(pid), dryRun))),
  );
  report(subjects, outcomes, dryRun, values.json);
  const exitCode = exitCodeOf(outcomes, values.all);
  // A thread that is held in the kernel would hold the end of the process too.
  if (pool.stuckThreads > 0) exitNow(exitCode);
  await pool.close();
  return exitCode;
}

function job(kind: Job["kind"], pid: number, bindings: Job["bindings"], dryRun: boolean): Job {
  return { kind, pid, bindings, rootfs: "/", deadDevices: [], dryRun, procRoot: "/proc" };
}

/** What to bind for a process. Detaching needs no server: it goes by what can be mounted at all. */
async function bindings(
  kind: "attach" | "detach",
  mountPoint: string | undefined,
): Promise<(pid: number) => Job["bindings"]> {
  if (kind === "detach") {
    const { lxcfsTargets } = await import("../attach/find_mounts.ts");
    return (pid) => lxcfsTargets("/proc", pid).map((target) => ({ source: "", target }));
  }
  const found = await common.findMountPoint(mountPoint);
  const names = containerNames("/proc");
  return (pid) => bindingsFor(found, names.nameOf(pid));
}

function report(
  subjects: readonly common.Subject[],
  outcomes: readonly Outcome[],
  dryRun: boolean,
  json: boolean,
): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(outcomes, null, 2)}\n`);
    return;
  }
  if (subjects.length === 0) process.stdout.write("no running container found\n");
  for (const [index, outcome] of outcomes.entries()) {
    const bad = outcome.status !== "done";
    const text = common.describeOutcome(subjects[index]?.label ?? "", outcome, dryRun);
    (bad ? process.stderr : process.stdout).write(text);
  }
}

/** A container that ends while all are being done is no failure; one that was named is. */
function exitCodeOf(outcomes: readonly Outcome[], all: boolean): number {
  const bad = outcomes.filter(({ status }) => status !== "done" && !(all && status === "gone"));
  if (bad.length === 0) return 0;
  return bad.every(({ status }) => status === "gone") ? common.EXIT.unknown : common.EXIT.failed;
}
