/** Waiting in tests: poll until something holds, or say what did not. */
import { setTimeout as sleep } from "node:timers/promises";

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Blocks this thread. */
export function sleepSync(ms: number): void {
  Atomics.wait(sleeper, 0, 0, ms);
}

/** How many times longer than on an ordinary machine things may take: in emulation, for example. */
const patience = Number(process.env["LXCFS_TEST_PATIENCE"] ?? 1);

/** Whether this machine is emulated: figures that were promised for real hardware say nothing here. */
export const isEmulated: boolean = patience > 1;

/** A limit on time that fits this machine. */
export function patient(timeoutMs: number): number {
  return timeoutMs * patience;
}

/**
 * Polls `probe` until it returns something other than undefined or false.
 * @throws Error naming `what` after `timeoutMs`, times LXCFS_TEST_PATIENCE
 */
export async function waitFor<T>(
  what: string,
  probe: () => T | undefined | false,
  timeoutMs = 10_000,
  everyMs = 10,
): Promise<T> {
  const patientMs = patient(timeoutMs);
  const deadline = performance.now() + patientMs;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`Timed out (${patientMs} ms): ${what}`);
    // Where everything takes longer, asking often would take the time that it needs.
    await sleep(patient(everyMs));
  }
}
