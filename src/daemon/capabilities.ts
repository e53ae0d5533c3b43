/**
 * The capabilities that are kept; test/daemon/rights.test.ts takes each away in turn and shows what no
 * longer works.
 */
import type { Capability } from "../sys/capabilities.ts";
import type { ViewConfig } from "./config.ts";

/** Why each is kept. */
type Reasons = Partial<Record<Capability, string>>;

const ALWAYS: Reasons = {
  DAC_READ_SEARCH: "cgroups are opened by handle; files of other users are read",
  SYS_ADMIN: "mounts and unmounts; reads the CPU policy of a cgroup, a trusted attribute",
  SYS_CHROOT: "enters mount namespaces: its own, the host's, and containers' to heal them",
  SYS_PTRACE: "reads namespaces and personality of other users' processes",
};

const PRESSURE_TRIGGERS: Reasons = {
  DAC_OVERRIDE: "opens pressure files of cgroups that were given away for writing",
  SYS_RESOURCE: "sets triggers with windows of less than two seconds",
};

const CGROUP_TREE: Reasons = {
  CHOWN: "a container's new cgroups belong to its own root",
  DAC_OVERRIDE: "writes in cgroups that were given away to a container",
  FOWNER: "changes modes of cgroups that were given away",
  SETGID: "acts with the group ids of who asks",
  SETUID: "acts with the user ids of who asks",
};

/** What the server keeps, holder included, and why. */
export function neededCapabilities(view: ViewConfig): Reasons {
  return {
    ...ALWAYS,
    ...(view.psiPoll && PRESSURE_TRIGGERS),
    ...(view.cgroupTree && CGROUP_TREE),
  };
}

/** What a serving thread keeps of that: it enters nothing. */
export function servingCapabilities(view: ViewConfig): readonly Capability[] {
  return namesOf(neededCapabilities(view)).filter((name) => name !== "SYS_CHROOT");
}

export function namesOf(reasons: Reasons): Capability[] {
  return Object.keys(reasons) as Capability[];
}
