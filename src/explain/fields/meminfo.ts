/** Where each line of /proc/meminfo comes from. docs/fidelity.md has the same table in words. */
import type { MemoryReading } from "../../cgroup/types.ts";
import { parseKeyedNumbers } from "../../host/keyed_numbers.ts";
import { readMeminfo } from "../../host/meminfo.ts";
import { meminfoFields } from "../../machine/memory.ts";
import { tryReadFile } from "../../sys/read.ts";
import type { Explanation, Field } from "../field.ts";
import {
  type Evidence,
  limitRule,
  type Names,
  type Source,
  sourceOf,
  sourceRule,
  type Why,
} from "./cgroup_rules.ts";

/** Fields that are single entries of memory.stat: their names in v1 (`""`: it has none) and v2. */
const STAT: Readonly<Record<string, Names>> = {
  Cached: ["total_cache", "file"],
  SwapCached: ["total_swapcached", "swapcached"],
  "Active(anon)": ["total_active_anon", "active_anon"],
  "Inactive(anon)": ["total_inactive_anon", "inactive_anon"],
  "Active(file)": ["total_active_file", "active_file"],
  "Inactive(file)": ["total_inactive_file", "inactive_file"],
  Unevictable: ["total_unevictable", "unevictable"],
  Mlocked: ["total_unevictable", "unevictable"],
  Zswap: ["", "zswap"],
  Zswapped: ["", "zswapped"],
  Dirty: ["total_dirty", "file_dirty"],
  Writeback: ["total_writeback", "file_writeback"],
  AnonPages: ["total_rss", "anon"],
  Mapped: ["total_mapped_file", "file_mapped"],
  Shmem: ["total_shmem", "shmem"],
  KReclaimable: ["", "slab_reclaimable"],
  SReclaimable: ["", "slab_reclaimable"],
  SUnreclaim: ["", "slab_unreclaimable"],
  KernelStack: ["", "kernel_stack"],
  PageTables: ["", "pagetables"],
  SecPageTables: ["", "sec_pagetables"],
  VmallocUsed: ["", "vmalloc"],
  Percpu: ["", "percpu"],
  AnonHugePages: ["total_rss_huge", "anon_thp"],
  FileHugePages: ["", "file_thp"],
  ShmemHugePages: ["", "shmem_thp"],
};

/** What bounds such an entry. */
const BOUNDS: Readonly<Record<string, string>> = {
  Cached: "at most MemTotal - MemFree",
  SwapCached: "at most SwapTotal",
  Mlocked: "at most the host's Mlocked: no cgroup is charged for what is locked",
  Shmem: "at most Cached",
};

/** Fields made of others. */
const MADE: Readonly<Record<string, string>> = {
  MemAvailable: "MemFree + Active(file) + Inactive(file) + SReclaimable, at most MemTotal",
  Buffers: "pages of block devices are charged as file pages and are in Cached",
  Active: "Active(anon) + Active(file)",
  Inactive: "Inactive(anon) + Inactive(file)",
  Slab: "SReclaimable + SUnreclaim",
  CommitLimit: "the host's overcommit ratio of MemTotal, and SwapTotal",
  Committed_AS: "AnonPages + Shmem + swap in use, the least it can be: no cgroup accounts promises",
};

export function explainMeminfo(evidence: Evidence, text: string): Explanation {
  const fields: Field[] = [];
  const why = meminfoRules(evidence);
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon);
    fields.push({ name, value: line.slice(colon + 1).trim(), ...why(name) });
  }
  const summary =
    evidence.container.cgroups.memory() === undefined
      ? "the host's: this container has no memory controller"
      : "the host's lines, with what the container's memory cgroup accounts";
  return { path: "proc/meminfo", summary, fields };
}

/** Why a field of meminfo is what it is, by its name: also for files that say the same otherwise. */
export function meminfoRules(evidence: Evidence): (name: string) => Why {
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
  const known = meminfoFields(reading, hostBytes, { showSwap: true, showZswap: true });
  const source = (v1: string, v2: string): Source | undefined =>
    sourceOf(evidence, "memory", [v1, v2]);
  const statSource = source("memory.stat", "memory.stat");
  const statNames = new Set(parseKeyedNumbers(tryReadFile(statSource?.file ?? "") ?? "").names);
  return (name) => {
    switch (name) {
      case "MemTotal":
        return totalRule(
          reading.limit,
          hostBytes("MemTotal"),
          source("memory.limit_in_bytes", "memory.max"),
        );
      case "MemFree": {
        const usage = source("memory.usage_in_bytes", "memory.current");
        return sourceRule(usage, "MemTotal less what is used");
      }
      case "SwapTotal":
        return swapTotalRule(evidence, reading, hostBytes("SwapTotal"));
      case "SwapFree":
        return swapFreeRule(source("memory.memsw.usage_in_bytes", "memory.swap.current"));
      case "SUnreclaim":
        if (statSource?.version !== 1) break;
        return sourceRule(
          source("memory.kmem.usage_in_bytes", ""),
          "all memory of the kernel, which cgroup v1 does not account by kind",
        );
      case "Zswap":
      case "Zswapped":
        if (evidence.settings?.zswap !== false) break;
        return { rule: "the server runs with --disable-zswap" };
    }
    const entry = STAT[name];
    if (entry && statSource) return statRule(name, statSource, statNames, entry);
    const made = MADE[name];
    if (made !== undefined) return { rule: made };
    if (known.has(name)) return { rule: "no part of it is a container's" };
    return hosts;
  };
}

function statRule(name: string, source: Source, statNames: ReadonlySet<string>, names: Names): Why {
  const entry = names[source.version - 1] ?? "";
  const { file, level, words } = source;
  if (entry === "") return { rule: "cgroup v1 does not account it by itself" };
  if (!statNames.has(entry))
    return { rule: `this kernel has no ${entry} in ${words}`, file, level };
  const bound = BOUNDS[name];
  return { rule: `${entry} in ${words}${bound === undefined ? "" : `, ${bound}`}`, file, level };
}

function totalRule(
  limit: MemoryReading["limit"],
  hostTotal: number | undefined,
  own: Source | undefined,
): Why {
  const rule = limitRule(limit, own);
  if (limit.file === undefined) return { ...rule, rule: `the host's RAM: ${rule.rule}` };
  if (limit.value === 0) return { ...rule, rule: `the host's RAM: ${rule.rule}, is 0` };
  if (hostTotal !== undefined && limit.value > hostTotal) {
    return { rule: `the host's RAM, which is less than ${rule.rule}`, levels: limit.levels };
  }
  return rule;
}

function swapTotalRule(
  evidence: Evidence,
  reading: MemoryReading,
  hostSwap: number | undefined,
): Why {
  if (evidence.settings?.swap === false) return { rule: "the server runs with --disable-swap" };
  if (!reading.swapAccounted) return { rule: "this kernel does not account swap to cgroups" };
  if ((hostSwap ?? 0) === 0) return { rule: "the host has no swap" };
  if (reading.swappiness === 0) return { rule: "what is swapped out already: swappiness is 0" };
  const own = sourceOf(evidence, "memory", ["memory.memsw.limit_in_bytes", "memory.swap.max"]);
  const rule = limitRule(reading.swapLimit, own);
  if (!(reading.swapLimit.value < (hostSwap ?? 0))) {
    return {
      rule: `the host's swap: no level allows less (${rule.rule})`,
      levels: rule.levels ?? 0,
    };
  }
  // v1 limits memory and swap together: swap is what that leaves.
  return own?.version === 1 ? { ...rule, rule: `${rule.rule}; less MemTotal` } : rule;
}

function swapFreeRule(used: Source | undefined): Why {
  const both = used?.version === 1 ? " together with memory, less memory.usage_in_bytes" : "";
  return sourceRule(used, `SwapTotal less what is swapped out${both}`);
}
