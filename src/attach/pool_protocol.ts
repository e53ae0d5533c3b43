/** What the pool and its threads say to each other. */
import type { Job, Outcome } from "./types.ts";

/** States of a job's gate: whoever moves it first, from BEGIN, has decided. */
export const BEGIN = 0;
/** The thread is past the last point where it can be stopped. */
export const COMMITTING = 1;
/** Nobody waits any more; the thread must change nothing when it wakes. */
export const GIVEN_UP = 2;

export interface Ask {
  readonly id: number;
  readonly job: Job;
  readonly gate: SharedArrayBuffer;
  readonly beneath: boolean;
}

/** Said twice for each job: when the thread begins with it, and when it is done. */
export interface Answer {
  readonly id: number;
  /** Absent at the beginning. */
  readonly outcome?: Outcome;
}
