/**
 * What the daemon gives up before it serves. Done once in the front: it holds for the process that
 * becomes the holder and for every server it starts, in all their threads, which capset(2) in a
 * running Node.js would not (V8's own threads would keep theirs).
 */
import { writeFileSync } from "node:fs";
import { prctl } from "../sys/native.ts";
import { capabilityBits, namesOf, neededCapabilities } from "./capabilities.ts";
import type { ViewConfig } from "./config.ts";

const LAST_KNOWN_CAPABILITY = 63;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** As LXCFS's own unit sets it: without the daemon every container loses its files. */
const OOM_SCORE = "-1000";

/** Each step is worth having without the others, and none is worth not starting for. */
export function harden(view: ViewConfig): void {
  attempt(() => writeFileSync("/proc/self/oom_score_adj", OOM_SCORE));
  attempt(() => prctl(PR_SET_NO_NEW_PRIVS, 1));
  const needed = capabilityBits(namesOf(neededCapabilities(view)));
  for (let number = 0; number <= LAST_KNOWN_CAPABILITY; number++) {
    if ((needed >> BigInt(number)) & 1n) continue;
    // False where the kernel knows no capability of that number: there are no more.
    if (!attempt(() => prctl(PR_CAPBSET_DROP, number))) break;
  }
}

function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
