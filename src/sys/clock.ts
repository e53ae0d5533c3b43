/** Time as an argument: whoever needs it takes a `Clock`, tests give their own. */
import { readFileSync } from "node:fs";

// CLOCK_MONOTONIC minus this thread's performance.now(), whose origin differs between threads: what
// is kept in shared memory must mean the same to all of them.
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The clocks the kernel's files are made of. */
export interface Clock {
  /** CLOCK_BOOTTIME in nanoseconds: what `/proc/uptime` and process start times count. */
  boottimeNs(): number;
  /** CLOCK_MONOTONIC in milliseconds, for intervals and deadlines. */
  monotonicMs(): number;
  /** Wall clock, seconds since the epoch. */
  realtimeSeconds(): number;
}

/**
 * The machine's own clocks. CLOCK_BOOTTIME is CLOCK_MONOTONIC plus the time spent suspended, which
 * Node cannot read; `/proc/uptime` gives it in hundredths, so the offset between both is taken from
 * there once a second and the fine resolution from CLOCK_MONOTONIC.
 */
export class SystemClock implements Clock {
  readonly #uptimePath: string;
  #suspendedNs = 0;
  #checkedMs = -Infinity;

  constructor(procRoot = "/proc") {
    this.#uptimePath = `${procRoot}/uptime`;
  }

  boottimeNs(): number {
    const monotonicNs = Number(process.hrtime.bigint());
    if (monotonicNs / 1e6 - this.#checkedMs > 1000) {
      this.#checkedMs = monotonicNs / 1e6;
      const bootNs = Number.parseFloat(readFileSync(this.#uptimePath, "latin1")) * 1e9;
      // Hundredths of a second are the file's resolution: a smaller difference is no suspension.
      const offsetNs = bootNs - monotonicNs;
      if (Math.abs(offsetNs - this.#suspendedNs) > 2e7) {
        this.#suspendedNs = Math.abs(offsetNs) > 2e7 ? offsetNs : 0;
      }
    }
    return monotonicNs + this.#suspendedNs;
  }

  monotonicMs(): number {
    return originMs + performance.now();
  }

  realtimeSeconds(): number {
    return Date.now() / 1000;
  }
}
