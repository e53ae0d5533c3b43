/** Time as an argument: whoever needs it takes a `Clock`, tests give their own. */
// Not the global: that is looked up anew, by a getter, at each use.
import { performance } from "node:perf_hooks";
import { boottimeNs } from "./native.ts";

/**
 * CLOCK_MONOTONIC minus this thread's performance.now(), whose origin differs between threads: what
 * is kept in shared memory must mean the same to all of them, also if one was interrupted here. So
 * both clocks are read until that took next to no time.
 */
const originMs = measureOriginMs();

function measureOriginMs(): number {
  let bestMs = Infinity;
  let origin = 0;
  for (let attempt = 0; attempt < 100 && bestMs > 0.002; attempt++) {
    const beforeMs = performance.now();
    const monotonicNs = process.hrtime.bigint();
    const tookMs = performance.now() - beforeMs;
    if (tookMs >= bestMs) continue;
    bestMs = tookMs;
    origin = Number(monotonicNs) / 1e6 - beforeMs - tookMs / 2;
  }
  return origin;
}

/** CLOCK_MONOTONIC in milliseconds: comparable between threads and processes, unlike `performance.now`. */
export function monotonicMs(): number {
  return originMs + performance.now();
}

/** The clocks the kernel's files are made of. */
export interface Clock {
  /** CLOCK_BOOTTIME in nanoseconds: what `/proc/uptime` and process start times count. */
  boottimeNs(): number;
  /** CLOCK_MONOTONIC in milliseconds, for intervals and deadlines. */
  monotonicMs(): number;
  /** Wall clock, seconds since the epoch. */
  realtimeSeconds(): number;
}

/** The machine's own clocks. */
export class SystemClock implements Clock {
  boottimeNs(): number {
    return boottimeNs();
  }

  monotonicMs(): number {
    return monotonicMs();
  }

  realtimeSeconds(): number {
    return Date.now() / 1000;
  }
}
