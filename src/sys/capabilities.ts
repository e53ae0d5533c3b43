/** Capabilities by their names in linux/capability.h, and giving them up for good. */
import { prctl } from "./native.ts";

export const CAPABILITY = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  DAC_READ_SEARCH: 2,
  FOWNER: 3,
  SETGID: 6,
  SETUID: 7,
  SETPCAP: 8,
  SYS_CHROOT: 18,
  SYS_PTRACE: 19,
  SYS_ADMIN: 21,
  SYS_RESOURCE: 24,
} as const;

export type Capability = keyof typeof CAPABILITY;

const LAST_KNOWN_CAPABILITY = 63;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;

export function capabilityBits(names: readonly Capability[]): bigint {
  return names.reduce((bits, name) => bits | (1n << BigInt(CAPABILITY[name])), 0n);
}

/**
 * What this process becomes by execve(2), and all that it starts, will have no others than these, and
 * gain none by a file's. As far as the kernel lets it: each step is worth having without the others.
 */
export function boundCapabilities(names: readonly Capability[]): void {
  attempt(() => prctl(PR_SET_NO_NEW_PRIVS, 1));
  const kept = capabilityBits(names);
  for (let number = 0; number <= LAST_KNOWN_CAPABILITY; number++) {
    if ((kept >> BigInt(number)) & 1n) continue;
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
