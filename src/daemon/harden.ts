/**
 * What the daemon gives up before it serves. Done once in the front: it holds for the process that
 * becomes the holder and for every server it starts, in all their threads, which capset(2) in a
 * running Node.js would not (V8's own threads would keep theirs).
 */
import { writeFileSync } from "node:fs";
import { boundCapabilities } from "../sys/capabilities.ts";
import { namesOf, neededCapabilities } from "./capabilities.ts";
import type { ViewConfig } from "./config.ts";

/** As LXCFS's own unit sets it: without the daemon every container loses its files. */
const OOM_SCORE = "-1000";

export function harden(view: ViewConfig): void {
  try {
    writeFileSync("/proc/self/oom_score_adj", OOM_SCORE);
  } catch {
    // Worth having, not worth failing for.
  }
  boundCapabilities(namesOf(neededCapabilities(view)));
}
