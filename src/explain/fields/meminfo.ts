/** Where each line of /proc/meminfo comes from. docs/fidelity.md has the same table in words. */
import { readMeminfo } from "../../host/meminfo.ts";
import { meminfoFields } from "../../machine/memory.ts";
import type { Explanation, Field } from "../field.ts";
import { type Evidence, limitRule, ownFile, ownRule } from "./cgroup_rules.ts";

type Why = Pick<Field, "rule"> & Partial<Field>;

/** Fields that are single entries of memory.stat: their names there, in cgroup v1 and v2. */
const STAT: Readonly<Record<string, readonly [string, string]>> = {
  SwapCached: ["swapcached", "swapcached"],
  "Active(anon)": ["active_anon", "active_anon"],
  "Inactive(anon)": ["inactive_anon", "inactive_anon"],
  "Active(file)": ["active_file", "active_file"],
  "Inactive(file)": ["inactive_file", "inactive_file"],
  Unevictable: ["unevictable", "unevictable"],
  Zswap: ["zswap", "zswap"],
  Zswapped: ["zswapped", "zswapped"],
  Dirty: ["dirty", "file_dirty"],
  Writeback: ["writeback", "file_writeback"],
  AnonPages: ["rss", "anon"],
  Mapped: ["mapped_file", "file_mapped"],
  KReclaimable: ["slab_reclaimable", "slab_reclaimable"],
  SReclaimable: ["slab_reclaimable", "slab_reclaimable"],
  KernelStack: ["kernel_stack", "kernel_stack"],
  PageTables: ["pagetables", "pagetables"],
  SecPageTables: ["sec_pagetables", "sec_pagetables"],
  VmallocUsed: ["vmalloc", "vmalloc"],
  Percpu: ["percpu", "percpu"],
  AnonHugePages: ["rss_huge", "anon_thp"],
  FileHugePages: ["file_thp", "file_thp"],
  ShmemHugePages: ["shmem_thp", "shmem_thp"],
};

/** Fields made of others, or of several entries. */
const MADE: Readonly<Record<string, string>> = {
  MemAvailable: "MemFree + Active(file) + Inactive(file) + SReclaimable, at most MemTotal",
  Buffers: "pages of block devices are charged as file pages and are in Cached",
  Cached: "file (cgroup v1: cache) in memory.stat, at most MemTotal - MemFree",
  Shmem: "shmem in memory.stat, at most Cached",
  Active: "Active(anon) + Active(file)",
  Inactive: "Inactive(anon) + Inactive(file)",
  Mlocked: "Unevictable, at most the host's Mlocked: no cgroup is charged for what is locked",
  Slab: "SReclaimable + SUnreclaim",
  SUnreclaim: "slab_unreclaimable in memory.stat; on cgroup v1 all memory of the kernel",
  CommitLimit: "the host's overcommit ratio of MemTotal, and SwapTotal",
  Committed_AS: "AnonPages + Shmem + swap in use, the least it can be: no cgroup accounts promises",
};

export function explainMeminfo(evidence: Evidence, text: string): Explanation {
  const fields: Field[] = [];
  const why = sources(evidence);
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon);
    fields.push({ name, value: line.slice(colon + 1).trim(), ...why(name) });
  }
  return { path: "proc/meminfo", summary: summary(evidence), fields };
}

function summary({ container }: Evidence): string {
  return container.cgroups.memory() === undefined
    ? "the host's: this container has no memory controller"
    : "the host's lines, with what the container's memory cgroup accounts";
}

function sources(evidence: Evidence): (name: string) => Why {
  const reading = evidence.container.cgroups.memory();
  const hosts: Why = {
    rule: "the host's: a constant of the machine, or nothing that a cgroup accounts",
    file: `${evidence.procRoot}/meminfo`,
  };
  if (reading === undefined) return () => hosts;
  const host = readMeminfo(evidence.procRoot);
  const hostBytes = (field: string): number | undefined => {
    const kib = host.get(field);
    return kib === undefined ? undefined : kib * 1024;
  };
  const settings = { showSwap: true, showZswap: true };
  const known = meminfoFields(reading, hostBytes, settings);
  const limitFile = ownFile(evidence, "memory", "memory.limit_in_bytes", "memory.max");
  const v1 = limitFile?.endsWith("limit_in_bytes") === true;
  const usage: readonly [string, string] = ["memory.usage_in_bytes", "memory.current"];
  const usedSwap: readonly [string, string] = [
    "memory.memsw.usage_in_bytes",
    "memory.swap.current",
  ];
  return (name) => {
    if (name === "MemTotal") return totalRule(reading.limit, hostBytes("MemTotal"), limitFile);
    if (name === "MemFree") return ownRule(evidence, "memory", usage, "MemTotal less what is used");
    if (name === "SwapTotal") return swapTotalRule(evidence, reading, hostBytes("SwapTotal"));
    if (name === "SwapFree") {
      return ownRule(evidence, "memory", usedSwap, "SwapTotal less what is swapped out");
    }
    const entry = STAT[name];
    if (entry) return statRule(evidence, entry[v1 ? 0 : 1]);
    const made = MADE[name];
    if (made !== undefined) return { rule: made };
    if (known.has(name)) return { rule: "no part of it is a container's" };
    return hosts;
  };
}

function statRule(evidence: Evidence, entry: string): Why {
  const why = ownRule(evidence, "memory", ["memory.stat", "memory.stat"], "");
  return { ...why, rule: `${entry} in ${why.rule}` };
}

function totalRule(
  limit: { value: number; file: string | undefined; levels: number },
  hostTotal: number | undefined,
  ownPath: string | undefined,
): Why {
  const rule = limitRule(limit, ownPath);
  if (limit.file === undefined) return { ...rule, rule: `the host's RAM: ${rule.rule}` };
  if (hostTotal !== undefined && limit.value > hostTotal) {
    return { rule: `the host's RAM, which is less than ${rule.rule}`, levels: limit.levels };
  }
  return rule;
}

function swapTotalRule(
  evidence: Evidence,
  reading: NonNullable<ReturnType<Evidence["container"]["cgroups"]["memory"]>>,
  hostSwap: number | undefined,
): Why {
  if (evidence.settings?.swap === false) return { rule: "the server runs with --disable-swap" };
  if (!reading.swapAccounted) return { rule: "this kernel does not account swap to cgroups" };
  if ((hostSwap ?? 0) === 0) return { rule: "the host has no swap" };
  if (reading.swappiness === 0) return { rule: "what is swapped out already: swappiness is 0" };
  const rule = limitRule(
    reading.swapLimit,
    ownFile(evidence, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max"),
  );
  if (!(reading.swapLimit.value < (hostSwap ?? 0))) {
    return {
      rule: `the host's swap: no level allows less (${rule.rule})`,
      levels: rule.levels ?? 0,
    };
  }
  return rule;
}
