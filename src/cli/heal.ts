/**
 * `lxcfs heal [--watch]`: replaces dead lxcfs mounts in all containers. With `--watch` it looks at
 * its own mount table once a second, which costs one small read, and at all namespaces when the
 * mount was renewed or every `--every` seconds (30).
 */
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { heal, type HealReport } from "../attach/heal.ts";
import { locate } from "../attach/mount_table.ts";
import { AttachPool } from "../attach/pool.ts";
import { readMountinfo } from "../host/mountinfo.ts";
import { exitNow } from "../sys/native.ts";
import * as common from "./attach_common.ts";

const LOOK_EVERY_MS = 1000;

export function run(args: readonly string[]): Promise<number> {
  return common.command("heal", () => healCommand(args));
}

async function healCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "dry-run": { type: "boolean", short: "n", default: false },
      every: { type: "string", default: "30" },
      json: { type: "boolean", default: false },
      mountpoint: { type: "string" },
      remove: { type: "boolean", default: false },
      timeout: { type: "string", default: "5" },
      watch: { type: "boolean", default: false },
    },
  });
  const pool = new AttachPool({ timeLimitMs: common.secondsToMs("timeout", values.timeout) });
  const everyMs = common.secondsToMs("every", values.every);
  const once = async (): Promise<HealReport> => {
    const mountPoint = values.remove ? undefined : await common.findMountPoint(values.mountpoint);
    return await heal(pool, { mountPoint, dryRun: values["dry-run"], procRoot: "/proc" });
  };
  if (values.watch) return await watch(once, values.mountpoint, everyMs);
  const report = await once();
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else tell(report, values["dry-run"]);
  const failed = report.outcomes.some(({ status }) => status !== "done" && status !== "gone");
  const exitCode = failed ? common.EXIT.failed : 0;
  if (pool.stuckThreads > 0) exitNow(exitCode);
  await pool.close();
  return exitCode;
}

/** Until a signal ends the process. */
async function watch(
  once: () => Promise<HealReport>,
  mountPoint: string | undefined,
  everyMs: number,
): Promise<never> {
  let seen: string | undefined;
  let waitMs = 0;
  let lookedMs = -Infinity;
  for (;;) {
    const now = superblocks(mountPoint);
    if (now !== seen || performance.now() - lookedMs >= waitMs) {
      if (now !== seen) waitMs = 0;
      seen = now;
      const done = await attempt(once);
      // What did not succeed is tried again soon, then less and less often: the server may only
      // have been starting.
      waitMs = done ? everyMs : Math.min(everyMs, Math.max(LOOK_EVERY_MS, waitMs * 2));
      lookedMs = performance.now();
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** One pass. @returns whether nothing is left to be done */
async function attempt(once: () => Promise<HealReport>): Promise<boolean> {
  try {
    const report = await once();
    if (report.outcomes.length > 0) tell(report, false);
    return report.outcomes.every(({ status }) => status === "done" || status === "gone");
  } catch (thrown) {
    // No server at the moment: the next look may find one. Anything else is worth a line.
    if (!(thrown instanceof common.CommandError)) {
      process.stderr.write(
        `lxcfs heal: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`,
      );
    }
    return false;
  }
}

/** What the mount table says of the mount: it changes when the mount is renewed. */
function superblocks(mountPoint: string | undefined): string {
  const mounts = readMountinfo("/proc");
  if (mountPoint !== undefined) return locate(mounts, mountPoint)?.device ?? "";
  return mounts
    .filter(({ type, root }) => type === "fuse.lxcfs" && root === "/")
    .map(({ major, minor }) => `${major}:${minor}`)
    .join(" ");
}

function tell(report: HealReport, dryRun: boolean): void {
  for (const outcome of report.outcomes) {
    const label = `namespace of process ${outcome.pid}`;
    process.stdout.write(common.describeOutcome(label, outcome, dryRun));
  }
  for (const device of report.silent) {
    process.stderr.write(`lxcfs heal: filesystem ${device} does not answer; left alone\n`);
  }
  if (report.outcomes.length === 0) process.stdout.write("no dead lxcfs mount found\n");
}
