/**
 * Containers come, read and go, over and over; what the server holds must not grow with them. A fleet
 * (bench/fleet.c) of cheap containers reads in turn, each read of another container, then all of them
 * and their cgroups go, and the next fleet comes.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseResult } from "../../bench/load.ts";
import { Fleet, makeCgroups } from "../../bench/scenarios/many.ts";
import { statusOf } from "../daemon/control.ts";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { guardWith } from "../support/guard.ts";
import type { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { type Holdings, holdingsOf } from "./account.ts";

export interface ChurnOptions {
  /** Containers in all, and how many live at one time. */
  readonly containers: number;
  readonly atOnce: number;
  readonly reads: number;
  readonly say?: (line: string) => void;
}

export interface Churned {
  readonly reads: number;
  /** When half of the fleets have gone, every thread having served some, and after the last one. */
  readonly before: Holdings;
  readonly after: Holdings;
  readonly atOnce: number;
}

const READ_SECONDS = 1;

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
      const cgroups = new CgroupTree(`lxcfs-churn-${process.pid}-${number}`);
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
      const holdings = await restingHoldings(server);
      if (number === fleets >> 1) before = holdings;
      say?.(`${number * atOnce} containers, ${reads} reads: ${JSON.stringify(holdings)}`);
    }
    if (before === undefined) throw new Error("There must be two fleets");
    return { reads, before, after: await restingHoldings(server), atOnce };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Once no request is left in the kernel. */
function restingHoldings(server: Server): Promise<Holdings> {
  return waitFor("no request waits", () => {
    const holdings = holdingsOf(statusOf(server));
    return holdings.waiting === 0 && holdings;
  });
}

/** Noise of a garbage collector. */
const MEMORY_KB = 8192;
/**
 * Descriptors that a thread may keep for each container of the last fleet: those that have ended are
 * forgotten when others come or read. And those that a server has without any container.
 */
const DESCRIPTORS_EACH = 16;
const DESCRIPTORS_OWN = 96;

/** What has grown, one line each. */
export function growth({ before, after, atOnce }: Churned): string[] {
  const grown: string[] = [];
  const check = (what: keyof Holdings, most: number): void => {
    if (after[what] > before[what] + most) {
      grown.push(`${what}: ${after[what]} after ${before[what]}`);
    }
  };
  check("memoryKb", MEMORY_KB);
  check("sharedKb", MEMORY_KB);
  check("workers", 0);
  check("waiting", 0);
  const most = DESCRIPTORS_OWN + after.workers * atOnce * DESCRIPTORS_EACH;
  if (after.descriptors > most)
    grown.push(`descriptors: ${after.descriptors}, not ${most} at most`);
  return grown;
}
