/**
 * Explains a file: its text as the server gives it to the container, taken apart, and for each part
 * the kernel's file and the rule that decided. The values are the server's own words, so they cannot
 * differ from what the container reads; the reasons are found here, by reading the same cgroups.
 */
import type { Explanation } from "./field.ts";
import type { Evidence } from "./fields/cgroup_rules.ts";
import { explainCpuinfo, explainCpuList } from "./fields/cpus.ts";
import { explainMeminfo } from "./fields/meminfo.ts";
import {
  explainDiskstats,
  explainLoadavg,
  explainPressure,
  explainSwaps,
  explainUptime,
} from "./fields/others.ts";
import { explainStat } from "./fields/stat.ts";

const EXPLAINERS: Readonly<Record<string, (evidence: Evidence, text: string) => Explanation>> = {
  "proc/meminfo": explainMeminfo,
  "proc/cpuinfo": explainCpuinfo,
  "proc/stat": explainStat,
  "proc/uptime": explainUptime,
  "proc/loadavg": explainLoadavg,
  "proc/swaps": explainSwaps,
  "proc/diskstats": explainDiskstats,
};

/** @param text of the file at `path`, as the container reads it */
export function explain(evidence: Evidence, path: string, text: string): Explanation {
  const explainer = EXPLAINERS[path];
  if (explainer) return explainer(evidence, text);
  if (path.startsWith("proc/pressure/")) return explainPressure(evidence, path, text);
  if (/^sys\/devices\/system\/cpu\/(?:online|offline|possible|present)$/.test(path)) {
    return explainCpuList(evidence, path, text);
  }
  const lines = text.split("\n").filter(Boolean).length;
  return {
    path,
    summary: "made from the same readings; docs/fidelity.md tells of each field",
    fields: [
      { name: "lines", value: String(lines), rule: "as the host's file, for this container" },
    ],
  };
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

/** For people: one line a field, "name value: rule". */
export function explanationText({ path, summary, fields }: Explanation): string {
  const lines = fields.map(
    ({ name, value, rule, file }) => `${name} ${value}: ${rule}${file ? `\n    ${file}` : ""}`,
  );
  return `/${path}: ${summary}\n${lines.join("\n")}\n`;
}
