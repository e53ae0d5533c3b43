/**
 * A pressure trigger as it is written to a pressure file, Documentation/accounting/psi.rst:
 *
 *     some 150000 1000000
 *
 * "Tell me when some task has waited for 150 ms within any window of 1 s". The checks are the
 * kernel's own (kernel/sched/psi.c, psi_trigger_create), made here because the trigger is registered
 * by this process, which may do more than the one that asks.
 */

export interface PressureTrigger {
  readonly kind: "some" | "full";
  readonly thresholdUs: number;
  readonly windowUs: number;
}

const WINDOW_MIN_US = 500_000;
const WINDOW_MAX_US = 10_000_000;
/** Windows of processes without CAP_SYS_RESOURCE share the averages' own clock, which ticks so often. */
const UNPRIVILEGED_STEP_US = 2_000_000;
/** The kernel's buffer for what is written. */
const MAX_LENGTH = 32;

/**
 * @param privileged whether the writer has CAP_SYS_RESOURCE
 * @returns `undefined` for what the kernel answers EINVAL
 */
export function parsePressureTrigger(
  text: string,
  privileged: boolean,
): PressureTrigger | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const match = /^(some|full) (\d{1,10}) (\d{1,10})[\s\0]*$/.exec(text);
  if (!match) return undefined;
  const thresholdUs = Number(match[2]);
  const windowUs = Number(match[3]);
  if (windowUs < WINDOW_MIN_US || windowUs > WINDOW_MAX_US) return undefined;
  if (thresholdUs === 0 || thresholdUs > windowUs) return undefined;
  if (!privileged && windowUs % UNPRIVILEGED_STEP_US !== 0) return undefined;
  return { kind: match[1] === "full" ? "full" : "some", thresholdUs, windowUs };
}

/** As the kernel takes it. */
export function formatPressureTrigger({ kind, thresholdUs, windowUs }: PressureTrigger): string {
  return `${kind} ${thresholdUs} ${windowUs}\0`;
}
