/**
 * A NUMA node's part of the container's memory. Where the kernel accounts a figure by node
 * (`memory.numa_stat`) it is that. v1 tells by node how much is on the lists of anonymous (and shared)
 * memory and of files: what else is of one of these kinds is divided as they are. The rest is divided
 * as the host's memory is, so that all nodes together make /proc/meminfo.
 */
import type { Machine } from "./machine.ts";
import { nodeShare } from "./nodes.ts";

/** meminfo's names of what `memory.numa_stat` (cgroup v2's names) tells by node. */
export const BY_NODE: Readonly<Record<string, string>> = {
  "Active(anon)": "active_anon",
  "Inactive(anon)": "inactive_anon",
  "Active(file)": "active_file",
  "Inactive(file)": "inactive_file",
  Unevictable: "unevictable",
  AnonPages: "anon",
  Cached: "file",
  Mapped: "file_mapped",
  Dirty: "file_dirty",
  Writeback: "file_writeback",
  Shmem: "shmem",
  SwapCached: "swapcached",
  KernelStack: "kernel_stack",
  PageTables: "pagetables",
  SecPageTables: "sec_pagetables",
  SReclaimable: "slab_reclaimable",
  SUnreclaim: "slab_unreclaimable",
  AnonHugePages: "anon_thp",
  ShmemHugePages: "shmem_thp",
  FileHugePages: "file_thp",
};

/** v1: fields that are divided as one of the lists is. */
export const BY_LIST: Readonly<Record<string, "lru_anon" | "lru_file">> = {
  "Active(anon)": "lru_anon",
  "Inactive(anon)": "lru_anon",
  AnonPages: "lru_anon",
  AnonHugePages: "lru_anon",
  Shmem: "lru_anon",
  SwapCached: "lru_anon",
  "Active(file)": "lru_file",
  "Inactive(file)": "lru_file",
  Mapped: "lru_file",
  Dirty: "lru_file",
  Writeback: "lru_file",
};

/** Sums that the files of nodes show. */
export const NODE_SUMS: Readonly<Record<string, readonly [string, string]>> = {
  FilePages: ["Cached", "SwapCached"],
  Active: ["Active(anon)", "Active(file)"],
  Inactive: ["Inactive(anon)", "Inactive(file)"],
  Slab: ["SReclaimable", "SUnreclaim"],
};

/** Bytes of a field of meminfo, by its name in /proc/meminfo or in the node's. */
export type NodeMemory = (field: string) => number;

/** @returns `undefined` without a memory controller */
export function nodeMemoryOf(machine: Machine, node: number): NodeMemory | undefined {
  const fields = machine.meminfo();
  if (fields === undefined) return undefined;
  const share = nodeShare(machine, node);
  const numa = machine.numa();
  const own = numa?.get(node);
  const shareOf = (list: string): number => {
    let sum = 0;
    for (const each of numa?.values() ?? []) sum += each[list] ?? 0;
    return sum === 0 ? share : (own?.[list] ?? 0) / sum;
  };
  const whole = (field: string): number => fields.get(field) ?? 0;
  const bytes = (field: string): number => {
    const counted = own?.[BY_NODE[field] ?? ""];
    if (counted !== undefined) return counted;
    if (field === "MemUsed") return bytes("MemTotal") - bytes("MemFree");
    const parts = NODE_SUMS[field];
    if (parts !== undefined) return bytes(parts[0]) + bytes(parts[1]);
    if (field === "KReclaimable") return bytes("SReclaimable");
    if (own?.["lru_anon"] !== undefined) {
      // Shared memory is cache, and on the list of anonymous memory.
      if (field === "Cached") {
        const files = Math.floor((whole("Cached") - whole("Shmem")) * shareOf("lru_file"));
        return files + bytes("Shmem");
      }
      const list = BY_LIST[field];
      if (list !== undefined) return Math.floor(whole(field) * shareOf(list));
    }
    return Math.floor(whole(field) * share);
  };
  return bytes;
}
