/**
 * Load averages of a container, as the kernel makes its own (kernel/sched/loadavg.c): every five
 * seconds the number of threads that run or wait for a CPU or, uninterruptibly, for a device goes
 * into three exponentially fading means over 1, 5 and 15 minutes.
 */
import { SLOT } from "./history.ts";

/** The kernel's sampling interval. */
export const SAMPLE_MS = 5000;
/** A container whose load nobody has asked for in this time is not sampled any more. */
export const FORGET_MS: number = 10 * 60_000;

const MEAN_SECONDS = [60, 300, 900] as const;
const LOADS = [SLOT.load1, SLOT.load5, SLOT.load15] as const;

/** What was counted in a container at one moment. */
export interface ThreadCounts {
  /** Threads that run or would. */
  readonly running: number;
  /** Threads in uninterruptible sleep. */
  readonly blocked: number;
  readonly threads: number;
  /** Pid of the youngest process, in the container's numbers. */
  readonly lastPid: number;
}

/** What /proc/loadavg and the process counts of /proc/stat show. */
export interface Load extends ThreadCounts {
  /** Over 1, 5 and 15 minutes. */
  readonly averages: readonly [number, number, number];
}

/**
 * Puts one sample into the container's history.
 *
 * Before the first sample nothing is known but how much CPU time the container has used. The threads
 * that run now are taken to have run for as long as that time allows, and to have been the only ones:
 * right for a container that has been busy since its start, and for one that has just become busy.
 *
 * @param slot the container's history, locked
 * @param busySeconds for how long the threads that run now can have been running
 */
export function addLoadSample(
  slot: Float64Array,
  counts: ThreadCounts,
  nowMs: number,
  busySeconds: number,
): void {
  const sampledMs = slot[SLOT.loadSampledMs] ?? 0;
  const first = sampledMs === 0;
  const elapsedSeconds = first ? SAMPLE_MS / 1000 : Math.max(0, nowMs - sampledMs) / 1000;
  const ranSeconds = first ? Math.max(0, busySeconds) : elapsedSeconds;
  for (const [index, field] of LOADS.entries()) {
    const mean = MEAN_SECONDS[index] ?? 60;
    const fade = Math.exp(-elapsedSeconds / mean);
    const before = first ? 0 : (slot[field] ?? 0);
    slot[field] =
      before * fade +
      counts.running * (1 - Math.exp(-ranSeconds / mean)) +
      counts.blocked * (1 - fade);
  }
  slot[SLOT.loadSampledMs] = nowMs;
  keepCounts(slot, counts);
}

/** Puts a count of threads into the history without making it a sample. */
export function keepCounts(slot: Float64Array, counts: ThreadCounts): void {
  slot[SLOT.running] = counts.running;
  slot[SLOT.blocked] = counts.blocked;
  slot[SLOT.threads] = counts.threads;
  // The kernel's last pid never falls while pids have not wrapped around; ours must not, either.
  slot[SLOT.lastPid] = Math.max(slot[SLOT.lastPid] ?? 0, counts.lastPid);
}

/**
 * What is known of the container's load, or `undefined` before the first sample.
 * @param slot the container's history, locked; asking keeps it among those that are sampled
 */
export function loadOf(slot: Float64Array, nowMs: number): Load | undefined {
  const wantedMs = slot[SLOT.loadWantedMs] ?? 0;
  if (nowMs - wantedMs > FORGET_MS) slot[SLOT.loadSampledMs] = 0;
  slot[SLOT.loadWantedMs] = nowMs;
  if ((slot[SLOT.loadSampledMs] ?? 0) === 0) return undefined;
  const field = (index: number): number => slot[index] ?? 0;
  return {
    averages: [field(SLOT.load1), field(SLOT.load5), field(SLOT.load15)],
    running: field(SLOT.running),
    blocked: field(SLOT.blocked),
    threads: field(SLOT.threads),
    lastPid: field(SLOT.lastPid),
  };
}

/** Whether a slot's container is to be sampled now. */
export function loadIsWanted(slot: Float64Array, nowMs: number): boolean {
  const wantedMs = slot[SLOT.loadWantedMs] ?? 0;
  return wantedMs > 0 && nowMs - wantedMs <= FORGET_MS;
}
