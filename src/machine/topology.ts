/**
 * Which CPUs a container has: one answer for cpuinfo, stat, every mask of sysfs and the NUMA nodes.
 * They are numbered 0..N-1, in the order of the host's own numbers.
 */
import type { CpuQuota } from "../cgroup/types.ts";

/**
 * What bounds the number of CPUs.
 * - `cpuset`: the CPUs that the cpuset allows (LXCFS's default);
 * - `quota`: no more of them than the tightest quota has time for, rounded up (LXCFS's --enable-cfs);
 * - `none`: all of the host's.
 */
export type CpuPolicy = "cpuset" | "quota" | "none";

export const CPU_POLICIES: readonly CpuPolicy[] = ["cpuset", "quota", "none"];

/** What may be said for one container alone: a policy, or how many CPUs of its cpuset at most. */
export type OwnCpuPolicy = CpuPolicy | number;

/** Reads `cpuset`, `quota`, `none` or `cpus=3`; nothing for anything else. */
export function parseOwnCpuPolicy(text: string | undefined): OwnCpuPolicy | undefined {
  const count = /^cpus=([1-9]\d{0,5})$/.exec(text ?? "")?.[1];
  return count === undefined ? CPU_POLICIES.find((each) => each === text) : Number(count);
}

export interface Topology {
  /** Position: the container's number of the CPU; value: the host's number. Never empty. */
  readonly hostCpus: readonly number[];
  /** Whether each CPU stands for that one of the host, rather than for a share of time on any of them. */
  readonly pinned: boolean;
}

/**
 * @param online the host's online CPUs, ascending, not empty
 * @param cpuset the container's effective cpuset; `undefined` where no controller tells
 */
export function topologyOf(
  policy: OwnCpuPolicy,
  online: readonly number[],
  cpuset: readonly number[] | undefined,
  quota: CpuQuota,
): Topology {
  const count = boundOf(policy, quota);
  if (policy === "none" || cpuset === undefined) return boundBy(count, online);
  const allowed = cpuset.filter((cpu) => online.includes(cpu));
  // All its CPUs went offline: the kernel lets the tasks run on the others.
  return boundBy(count, allowed.length > 0 ? allowed : online);
}

/** How many CPUs at most, whatever the cpuset is. */
function boundOf(policy: OwnCpuPolicy, quota: CpuQuota): number {
  if (typeof policy === "number") return policy;
  return policy === "quota" ? Math.max(1, Math.ceil(quota.cpus)) : Infinity;
}

function boundBy(count: number, cpus: readonly number[]): Topology {
  if (count >= cpus.length) return { hostCpus: cpus, pinned: true };
  return { hostCpus: cpus.slice(0, count), pinned: false };
}

/** The host's CPU list (of a mask, of siblings) in the container's numbers; CPUs it has not are left out. */
export function toContainerCpus(topology: Topology, hostCpus: readonly number[]): number[] {
  const numbers: number[] = [];
  for (const [number, hostCpu] of topology.hostCpus.entries()) {
    if (hostCpus.includes(hostCpu)) numbers.push(number);
  }
  return numbers;
}
