/** How busy the machine is with other things. */
import { spawnSync } from "node:child_process";

/** What an empty Node.js needs to start on an idle machine. */
const START_MS = 60;

/**
 * How many times slower than an idle one the machine is now: nothing that begins with the start of a
 * process can be quicker than that.
 */
export function slowness(): number {
  const startMs = performance.now();
  spawnSync(process.execPath, ["-e", "0"]);
  return Math.max(1, (performance.now() - startMs) / START_MS);
}
