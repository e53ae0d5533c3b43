/** One thing that goes wrong, and what may be seen of it. */
import type { Stage } from "./stage.ts";
import type { Testimonies } from "./witnesses.ts";

export interface Fault {
  readonly name: string;
  readonly what: string;
  /** Does it, and waits until it is over. @returns what is worth saying about how it went */
  inject(stage: Stage): Promise<string>;
  /** Errors that readers must get, because nobody is left to answer; none by default. */
  readonly mayFailWith?: readonly string[];
  /** Longest time one read may take, in milliseconds. */
  readonly stallMs: number;
  /** Why it cannot be done here, or nothing. */
  readonly whyNot?: () => string | undefined;
}

export interface Outcome {
  readonly fault: string;
  readonly survived: boolean;
  /** What was not as it must be. */
  readonly complaints: readonly string[];
  readonly seen: Testimonies;
  readonly note: string;
}

/** Time that witnesses go on reading after a fault is over. */
const AFTER_MS = 300;
/** Lines of the server's log that are told with a fault that went wrong. */
const LINES_TOLD = 5;

/**
 * A fault that cannot be done is not survived.
 * @param slowness how many times longer than on an idle machine a read may take, asked before and after
 */
export async function suffer(
  stage: Stage,
  fault: Fault,
  slowness: () => number = () => 1,
): Promise<Outcome> {
  const slownessBefore = slowness();
  await stage.witnesses.takeAll();
  const complaints: string[] = [];
  let note = "";
  try {
    note = await fault.inject(stage);
  } catch (error) {
    complaints.push(error instanceof Error ? error.message : String(error));
    complaints.push(...stage.server.output.trimEnd().split("\n").slice(-LINES_TOLD));
  }
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  const seen = await stage.witnesses.takeAll();
  const stallMs = fault.stallMs * Math.max(slownessBefore, slowness());
  for (const [name, count] of Object.entries(seen.failed)) {
    if (fault.mayFailWith?.includes(name) !== true)
      complaints.push(`${count} reads failed with ${name}`);
  }
  if (seen.wrongCount > 0) {
    complaints.push(`${seen.wrongCount} answers were wrong: ${seen.wrong.join("; ")}`);
  }
  if (seen.reads === 0) complaints.push("nothing was read");
  if (seen.longestStallMs > stallMs) {
    complaints.push(
      `a read took ${seen.longestStallMs.toFixed(0)} ms, not ${stallMs.toFixed(0)} at most`,
    );
  }
  return { fault: fault.name, survived: complaints.length === 0, complaints, seen, note };
}

/** One line of the report. */
export function lineOf({ fault, survived, complaints, seen, note }: Outcome): string {
  const parts = [
    fault.padEnd(18),
    survived ? "survived" : "NOT SURVIVED",
    `${seen.reads} reads`,
    `${seen.failedCount} failed`,
    `${seen.wrongCount} wrong`,
    `longest stall ${seen.longestStallMs.toFixed(0)} ms`,
    ...(note === "" ? [] : [note]),
    ...complaints,
  ];
  return parts.join("  ");
}
