/** How busy the machine is with other things. */
import { spawnSync } from "node:child_process";
import { isEmulated } from "../support/wait.ts";

/** What an empty Node.js needs to start on an idle machine. */
const START_MS = 60;

/**
 * How many times slower than an idle one the machine is now: nothing that begins with the start of a
 * process can be quicker than that. In emulation no limit on time holds: what failed or was wrong is
 * judged there all the same.
 */
export function slowness(): number {
  if (isEmulated) return Infinity;
  const startMs = performance.now();
  spawnSync(process.execPath, ["-e", "0"]);
  return Math.max(1, (performance.now() - startMs) / START_MS);
}
