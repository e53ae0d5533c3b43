/**
 * A mount that is used and troubled for a long time: containers read and judge all the while, others
 * come and go, servers are killed, replaced and upgraded.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { holdingsOf, type Holdings } from "../bounded/account.ts";
import { lineOf, suffer } from "../chaos/fault.ts";
import { FAULTS } from "../chaos/faults.ts";
import type { Stage } from "../chaos/stage.ts";
import { Container } from "../support/container.ts";

/** Faults that can be had over and over without an end. */
const NAMES = ["server-killed", "worker-killed", "upgrade", "started-twice", "descriptor-limit"];
const TROUBLES = FAULTS.filter(({ name }) => NAMES.includes(name));
/** Peace between two troubles. */
const PEACE_MS = 2000;

export interface Soaked {
  readonly reads: number;
  readonly failed: number;
  readonly wrong: number;
  readonly longestStallMs: number;
  readonly troubles: number;
  readonly complaints: readonly string[];
  readonly holdings: Holdings;
}

/** @param slowness how many times longer a read may take than on an idle machine */
export async function soak(
  stage: Stage,
  seconds: number,
  slowness: () => number,
  say: (line: string) => void = () => {},
): Promise<Soaked> {
  const untilMs = performance.now() + seconds * 1000;
  const sum = { reads: 0, failed: 0, wrong: 0, longestStallMs: 0, troubles: 0 };
  const complaints: string[] = [];
  while (performance.now() < untilMs) {
    const trouble = TROUBLES[sum.troubles % TROUBLES.length];
    if (trouble === undefined) break;
    const outcome = await suffer(stage, trouble, slowness);
    say(lineOf(outcome));
    complaints.push(...outcome.complaints);
    const guest = await Container.start({ mountpoint: stage.server.mountpoint });
    await sleep(PEACE_MS);
    guest.stop();
    const peace = await stage.witnesses.takeAll();
    for (const seen of [outcome.seen, peace]) {
      sum.reads += seen.reads;
      sum.failed += seen.failedCount;
      sum.wrong += seen.wrongCount;
      sum.longestStallMs = Math.max(sum.longestStallMs, seen.longestStallMs);
      complaints.push(...seen.wrong);
    }
    sum.troubles++;
  }
  const status = await stage.statusWhen("an answer", () => true);
  return { ...sum, complaints, holdings: holdingsOf(status) };
}
