/** `lxcfs upgrade [MOUNTPOINT]`: the installed version takes over from the running one. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { findStatus } from "./mounts.ts";

/** How long the new version may take to serve. */
const UPGRADE_MS = 15_000;
const LOOK_MS = 50;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { "runtime-dir": { type: "string", default: "/run" } },
    allowPositionals: true,
  });
  const runtimeDir = resolve(values["runtime-dir"]);
  const before = await findStatus(positionals[0], runtimeDir);
  process.kill(before.holderPid, "SIGUSR1");
  const untilMs = performance.now() + UPGRADE_MS;
  for (;;) {
    await sleep(LOOK_MS);
    // The relieved server may be the one that is asked, and end before it answers.
    const now = await findStatus(before.mountpoint, runtimeDir).catch(() => before);
    if (now.upgrades > before.upgrades) {
      process.stdout.write(
        `upgraded ${now.mountpoint} from ${before.version} (process ${before.serverPid}) ` +
          `to ${now.version} (process ${now.serverPid})\n`,
      );
      return 0;
    }
    if (now.failedUpgrades > before.failedUpgrades || performance.now() > untilMs) {
      const cause = now.upgradeError || `it did not serve within ${UPGRADE_MS / 1000} s`;
      process.stderr.write(
        `lxcfs: Cannot upgrade ${now.mountpoint}: ${cause}; version ${now.version} goes on serving\n`,
      );
      return 1;
    }
  }
}
