/** How busy the machine is with other things. */
import { spawnSync } from "node:child_process";
import { isEmulated } from "../support/wait.ts";

/** What an empty Node.js needs to start on an idle machine. */
const START_MS = 60;
/** The quickest of so many counts: one that was held up tells of a moment, not of the machine. */
const STARTS = 3;

/**
 * How many times slower than an idle one the machine is now: nothing that begins with the start of a
 * process can be quicker than that. In emulation no limit on time holds: what failed or was wrong is
 * judged there all the same.
 */
export function slowness(): number {
  if (isEmulated) return Infinity;
  let bestMs = Infinity;
  for (let i = 0; i < STARTS; i++) {
    const startMs = performance.now();
    spawnSync(process.execPath, ["-e", "0"]);
    bestMs = Math.min(bestMs, performance.now() - startMs);
  }
  return Math.max(1, bestMs / START_MS);
}
