/** `lxcfs upgrade [MOUNTPOINT]`: the installed version takes over from the running one. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { lxcfsMountpoints } from "../daemon/mountpoint.ts";
import type { Status } from "../daemon/status.ts";
import { tryReadFile } from "../sys/read.ts";
import { command } from "./attach_common.ts";
import { findStatus } from "./mounts.ts";

/** Processes that `pid` has started. Where the kernel does not list them, none are found. */
function childrenOf(pid: number): number[] {
  const text = tryReadFile(`/proc/${pid}/task/${pid}/children`) ?? "";
  return text.split(" ").filter(Boolean).map(Number);
}

/** How long the new version may take to serve. */
const UPGRADE_MS = 15_000;
/** How long a running server may take to answer at all. */
const ANSWER_MS = 2000;
const LOOK_MS = 50;

/** A server that has just been started again answers readers before it answers us. */
async function findStatusSoon(mountpoint: string | undefined, runtimeDir: string): Promise<Status> {
  const untilMs = performance.now() + ANSWER_MS;
  for (;;) {
    try {
      return await findStatus(mountpoint, runtimeDir);
    } catch (error) {
      if (lxcfsMountpoints().length === 0 || performance.now() > untilMs) throw error;
      await sleep(LOOK_MS);
    }
  }
}

export function run(args: readonly string[]): Promise<number> {
  return command("upgrade", async () => await upgrade(args));
}

async function upgrade(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { "runtime-dir": { type: "string", default: "/run" } },
    allowPositionals: true,
  });
  const runtimeDir = resolve(values["runtime-dir"]);
  const before = await findStatusSoon(positionals[0], runtimeDir);
  process.kill(before.holderPid, "SIGUSR1");
  const untilMs = performance.now() + UPGRADE_MS;
  let seen = false;
  for (;;) {
    await sleep(LOOK_MS);
    const candidates = childrenOf(before.holderPid).filter((pid) => pid !== before.serverPid);
    const gone = seen && candidates.length === 0;
    seen = candidates.length > 0;
    // The relieved server may be the one that is asked, and end before it answers.
    const now = await findStatus(before.mountpoint, runtimeDir).catch(() => before);
    if (now.upgrades > before.upgrades) {
      process.stdout.write(
        `upgraded ${now.mountpoint} from ${before.version} (process ${before.serverPid}) ` +
          `to ${now.version} (process ${now.serverPid})\n`,
      );
      return 0;
    }
    const failed = now.failedUpgrades > before.failedUpgrades;
    if (failed || gone || performance.now() > untilMs) {
      const silent = gone ? "it ended at once; see the log" : "it does not serve in time";
      const cause = failed ? now.upgradeError : silent;
      process.stderr.write(
        `lxcfs upgrade: Cannot upgrade ${now.mountpoint}: ${cause}; version ${now.version} goes on serving\n`,
      );
      return 1;
    }
  }
}
