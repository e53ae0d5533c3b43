/** Where the files below /sys/devices/system come from: lists of CPUs and nodes, and single ones. */
import { BY_LIST, BY_NODE, NODE_SUMS } from "../../machine/node_memory.ts";
import { namesCpus } from "../../views/sys/host_text.ts";
import { AMOUNTS, HUGE_AMOUNTS } from "../../views/vmstat_amounts.ts";
import type { Explanation, Field } from "../field.ts";
import { type Evidence, sourceOf, sourceRule } from "./cgroup_rules.ts";
import { explainCpuList, hostCpusOf } from "./cpus.ts";
import { meminfoRules } from "./meminfo.ts";

const SYSTEM = "sys/devices/system";

export function explainSysfs(evidence: Evidence, path: string, text: string): Explanation {
  if (/\/cpu\/(?:online|offline|possible|present)$/.test(path)) {
    return explainCpuList(evidence, path, text);
  }
  const node = /\/node\/node(\d+)\/meminfo$/.exec(path);
  if (node) return explainNodeMeminfo(evidence, path, text);
  if (/\/node\/node\d+\/(?:vmstat|numastat)$/.test(path)) return explainNodeVmstat(path, text);
  const [name = ""] = path.split("/").slice(-1);
  if (path.startsWith(`${SYSTEM}/node/`) && !path.startsWith(`${SYSTEM}/node/node`)) {
    const mems = sourceOf(evidence, "cpuset", ["cpuset.effective_mems", "cpuset.mems.effective"]);
    const with_ = name === "has_cpu" ? " and has CPUs of" : "";
    const rule = `the host's nodes that its cpuset allows${with_}`;
    const field = { name, value: text.trim(), ...sourceRule(mems, rule) };
    return { path, summary: "the NUMA nodes the container has", fields: [field] };
  }
  return { path, summary: "a property of the machine", fields: lines(text).map(hostsField) };

  function hostsField(line: string, index: number, all: readonly string[]): Field {
    const own = /\/cpu\/cpu(\d+)\//.exec(path);
    const hostCpu = own && hostCpusOf(evidence)[Number(own[1])];
    const file = own ? path.replace(`/cpu${own[1]}/`, `/cpu${hostCpu}/`) : path;
    const whose = own ? `that of the host's CPU ${hostCpu}` : "the host's";
    const inside = path.replace(/^.*\/(?:cpu\d+|node\d+|cpu|node)\//, "");
    const rule = namesCpus(inside) ? `${whose}, with the container's CPUs by its numbers` : whose;
    const label = all.length === 1 ? name : `${name}:${index + 1}`;
    return {
      name: label,
      value: line,
      rule,
      file: `${evidence.sysRoot}${file.slice("sys".length)}`,
    };
  }
}

function lines(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}

function explainNodeMeminfo(evidence: Evidence, path: string, text: string): Explanation {
  const meminfo = meminfoRules(evidence);
  const numa = sourceOf(evidence, "memory", ["memory.numa_stat", "memory.numa_stat"]);
  const node = Number(/node(\d+)\/meminfo$/.exec(path)?.[1]);
  const counted = evidence.container.cgroups.numa()?.get(node) ?? {};
  const fields = lines(text).map((line): Field => {
    const [, name = "", value = ""] = /^Node \d+ ([^:]+):\s*(.*)$/.exec(line) ?? [];
    const entry = BY_NODE[name];
    if (entry !== undefined && counted[entry] !== undefined && numa) {
      return { name, value, rule: `${entry} in ${numa.words}`, file: numa.file, level: numa.level };
    }
    const list = BY_LIST[name];
    if (list !== undefined && counted[list] !== undefined && numa) {
      const line = list.replace("lru_", "hierarchical_");
      const rule = `${name} of /proc/meminfo, divided as ${line} in ${numa.words}`;
      return { name, value, rule, file: numa.file, level: numa.level };
    }
    const made = MADE_BY_NODE[name];
    if (made !== undefined) return { name, value, rule: made };
    const why = meminfo(name);
    if (name.startsWith("HugePages")) return { name, value, rule: "the host's", file: `/${path}` };
    const share = `the node's share of the host's memory, of ${name} of /proc/meminfo`;
    return { name, value, ...why, rule: `${share}: ${why.rule}` };
  });
  return { path, summary: "the node's part of /proc/meminfo", fields };
}

/** As src/machine/node_memory.ts makes them. */
const MADE_BY_NODE: Readonly<Record<string, string>> = {
  MemUsed: "MemTotal - MemFree",
  ...Object.fromEntries(
    Object.entries(NODE_SUMS).map(([name, parts]) => [name, parts.join(" + ")]),
  ),
};

function explainNodeVmstat(path: string, text: string): Explanation {
  const fields = lines(text).map((line): Field => {
    const [name = "", value = ""] = line.split(" ");
    if (name === "nr_kernel_stack") {
      return { name, value, rule: "KernelStack of the node's meminfo, in KiB" };
    }
    const huge = HUGE_AMOUNTS[name];
    const amounts = AMOUNTS[name] ?? (huge === undefined ? [] : [huge]);
    const unit = huge === undefined ? "pages" : "huge pages";
    const rule =
      amounts.length === 0
        ? "no cgroup counts it by node"
        : `${amounts.join(" + ")} of the node's meminfo, in ${unit}`;
    return { name, value, rule };
  });
  return { path, summary: "the node's part of /proc/vmstat", fields };
}
