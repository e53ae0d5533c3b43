/**
 * What the daemon gives up before it serves. Done once in the front: it holds for the process that
 * becomes the holder and for every server it starts, in all their threads, which capset(2) in a
 * running Node.js would not (V8's own threads would keep theirs).
 */
import { writeFileSync } from "node:fs";
import { prctl } from "../sys/native.ts";

/** Capabilities that stay, by their number in linux/capability.h, each with its reason. */
export const NEEDED_CAPABILITIES: Readonly<Record<string, { number: number; why: string }>> = {
  CHOWN: { number: 0, why: "a container's new cgroups belong to its own root" },
  DAC_OVERRIDE: { number: 1, why: "writes in cgroups that were given away to a container" },
  DAC_READ_SEARCH: {
    number: 2,
    why: "cgroups are opened by handle, files of other users are read",
  },
  FOWNER: { number: 3, why: "modes of cgroups that were given away" },
  KILL: { number: 5, why: "asks whether a process of another user still lives" },
  SETGID: { number: 6, why: "enters user namespaces to attach" },
  SETUID: { number: 7, why: "enters user namespaces to attach" },
  SYS_CHROOT: { number: 18, why: "enters mount namespaces to attach" },
  SYS_PTRACE: { number: 19, why: "reads namespaces and personality of processes" },
  SYS_ADMIN: { number: 21, why: "mounts, unmounts, enters namespaces" },
  SYS_RESOURCE: { number: 24, why: "pressure triggers, OOM score" },
};

const LAST_KNOWN_CAPABILITY = 63;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
/** As LXCFS's own unit sets it: without the daemon every container loses its files. */
const OOM_SCORE = "-1000";

/** Each step is worth having without the others, and none is worth not starting for. */
export function harden(): void {
  attempt(() => writeFileSync("/proc/self/oom_score_adj", OOM_SCORE));
  attempt(() => prctl(PR_SET_NO_NEW_PRIVS, 1));
  const needed = new Set(Object.values(NEEDED_CAPABILITIES).map(({ number }) => number));
  for (let number = 0; number <= LAST_KNOWN_CAPABILITY; number++) {
    if (needed.has(number)) continue;
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
