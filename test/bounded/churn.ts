/**
 * Containers come, read and go, over and over; what the server holds must not grow with them. A fleet
 * (bench/fleet.c) of cheap containers reads in turn, each read of another container, then all of them
 * and their cgroups go, and the next fleet comes.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseResult } from "../../bench/load.ts";
import { Fleet, makeCgroups } from "../../bench/scenarios/many.ts";
import { statusOf } from "../daemon/control.ts";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { guardWith } from "../support/guard.ts";
import type { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { containerDescriptors, type Holdings, holdingsOf } from "./account.ts";

export interface ChurnOptions {
  /** Containers in all, and how many live at one time. */
  readonly containers: number;
  readonly atOnce: number;
  readonly reads: number;
  readonly say?: (line: string) => void;
}

export interface Churned {
  readonly reads: number;
  /** After the first fleets, and after the last one. */
  readonly before: Holdings;
  readonly after: Holdings;
}

const CGROUPS = "lxcfs-churn-";
const READ_SECONDS = 1;
/** Fleets until a server has whatever it needs for that many containers at a time. */
const WARM_FLEETS = 5;

export async function churn(server: Server, options: ChurnOptions): Promise<Churned> {
  const { containers, atOnce, say } = options;
  const fleets = Math.ceil(containers / atOnce);
  const directory = mkdtempSync(join(tmpdir(), "lxcfs-churn-"));
  guardWith(`rm -rf --one-file-system '${directory}'`);
  const file = join(directory, "meminfo");
  writeFileSync(file, "");
  const binds = [join(server.mountpoint, "proc/meminfo"), file];
  let reads = 0;
  let before: Holdings | undefined;
  try {
    for (let number = 1; number <= fleets; number++) {
      const cgroups = new CgroupTree(`${CGROUPS}${process.pid}-${number}`);
      try {
        const list = join(directory, "list");
        writeFileSync(list, makeCgroups(cgroups, atOnce));
        const fleet = await Fleet.start(atOnce, list, binds, { seconds: READ_SECONDS });
        try {
          const goal = (options.reads * number) / fleets;
          for (let how: "pass" | "run" = "pass"; reads < goal || how === "pass"; how = "run") {
            const { ops, errors, wrong, firstWrong } = parseResult(await fleet.read(how, file));
            if (errors + wrong > 0) throw new Error(`A read went wrong: ${firstWrong}`);
            reads += ops;
          }
        } finally {
          fleet.stop();
        }
      } finally {
        cgroups.remove();
      }
      if (number === WARM_FLEETS) before = await restingHoldings(server);
      const holdings = holdingsOf(statusOf(server));
      say?.(`${number * atOnce} containers, ${reads} reads: ${JSON.stringify(holdings)}`);
    }
    if (before === undefined) throw new Error(`There must be more than ${WARM_FLEETS} fleets`);
    return { reads, before, after: await restingHoldings(server, before) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Threads that have nothing to do let go of containers that have ended within two seconds. */
const REST_MS = 2500;
/** Or later, where the machine is busy. */
const PATIENCE_MS = 15_000;

/**
 * Once no request is left in the kernel and nothing is held of containers, which all have ended; what
 * then is more than `before` stays.
 */
async function restingHoldings(server: Server, before?: Holdings): Promise<Holdings> {
  await sleep(REST_MS);
  const untilMs = performance.now() + PATIENCE_MS;
  return waitFor(
    "no request waits, and nothing is held of containers that have ended",
    () => {
      const status = statusOf(server);
      const holdings = holdingsOf(status);
      if (holdings.waiting !== 0) return undefined;
      if (containerDescriptors(status.serverPid, CGROUPS) > 0) return undefined;
      const isBack = before === undefined || growth({ before, after: holdings }).length === 0;
      return (isBack || performance.now() > untilMs) && holdings;
    },
    2 * PATIENCE_MS,
    200,
  );
}

/** What a garbage collector may leave for later. */
const MEMORY_KB = 8192;
/** Pages of the shared memory that are written to for the first time: which container has which place is chance. */
const SHARED_KB = 1024;
/** Files of the host that a thread has opened since, for views that it had not made before: a score. */
const DESCRIPTORS = 24;

/** What has not come back to where it was, one line each. */
export function growth({ before, after }: Pick<Churned, "before" | "after">): string[] {
  const slack: Holdings = {
    memoryKb: MEMORY_KB,
    sharedKb: SHARED_KB,
    descriptors: DESCRIPTORS,
    workers: 0,
    waiting: 0,
  };
  return (Object.keys(slack) as (keyof Holdings)[])
    .filter((what) => after[what] > before[what] + slack[what])
    .map((what) => `${what}: ${after[what]} after ${before[what]}`);
}
