/**
 * Explains a file: its text as the server gives it to the container, taken apart, and for each part
 * the kernel's file and the rule that decided. The values are the server's own words, so they cannot
 * differ from what the container reads; the reasons are found here, by reading the same cgroups.
 */
import type { Explanation, Field } from "./field.ts";
import type { Evidence } from "./fields/cgroup_rules.ts";
import { explainCpuinfo } from "./fields/cpus.ts";
import { explainDiskstats, explainPartitions } from "./fields/disks.ts";
import { explainMeminfo } from "./fields/meminfo.ts";
import {
  explainLoadavg,
  explainPressure,
  explainSlabinfo,
  explainSwaps,
  explainUptime,
} from "./fields/others.ts";
import { explainStat } from "./fields/stat.ts";
import { explainSysfs } from "./fields/sysfs.ts";
import { explainVmstat } from "./fields/vmstat.ts";

const EXPLAINERS: Readonly<Record<string, (evidence: Evidence, text: string) => Explanation>> = {
  "proc/meminfo": explainMeminfo,
  "proc/cpuinfo": explainCpuinfo,
  "proc/stat": explainStat,
  "proc/uptime": explainUptime,
  "proc/loadavg": explainLoadavg,
  "proc/swaps": explainSwaps,
  "proc/diskstats": explainDiskstats,
  "proc/partitions": explainPartitions,
  "proc/vmstat": explainVmstat,
  "proc/slabinfo": explainSlabinfo,
};

/** @param text of the file at `path`, as the container reads it */
export function explain(evidence: Evidence, path: string, text: string): Explanation {
  const explainer = EXPLAINERS[path];
  if (explainer) return explainer(evidence, text);
  if (path.startsWith("proc/pressure/")) return explainPressure(evidence, path, text);
  return explainSysfs(evidence, path, text);
}

/** The same for a process in no container. */
export function explainHost(path: string, text: string): Explanation {
  const [first = ""] = text.split("\n", 1);
  const rule = "the host's own file: the process is in no container";
  return {
    path,
    summary: rule,
    fields: [{ name: "first line", value: first, rule, file: `/${path}` }],
  };
}

/** For people: one line a field, "name value: rule", and below it the file and its level. */
export function explanationText({ path, summary, fields }: Explanation): string {
  const lines = fields.map((field) => {
    const { name, value, rule, file } = field;
    return `${name} ${value}: ${rule}${file ? `\n    ${file}${levelText(field)}` : ""}`;
  });
  return `/${path}: ${summary}\n${lines.join("\n")}\n`;
}

/** Where the file's cgroup is, seen from the container. */
function levelText({ level, levels }: Field): string {
  if (level === undefined) return "";
  const above = level === 1 ? "its own cgroup" : `${level - 1} above its own`;
  return ` (level ${level}${levels === undefined ? "" : ` of ${levels}`}: ${above})`;
}
