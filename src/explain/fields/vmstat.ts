/** Where each line of /proc/vmstat comes from: most are fields of meminfo, or events of memory.stat. */
import { AMOUNTS, HUGE_AMOUNTS } from "../../views/vmstat_amounts.ts";
import type { Explanation, Field } from "../field.ts";
import { type Evidence, sourceOf, sourceRule, type Why } from "./cgroup_rules.ts";
import { meminfoRules } from "./meminfo.ts";

export function explainVmstat(evidence: Evidence, text: string): Explanation {
  const memory = evidence.container.cgroups.memory();
  const meminfo = meminfoRules(evidence);
  const stat = sourceOf(evidence, "memory", ["memory.stat", "memory.stat"]);
  const prefix = stat?.version === 1 ? "total_" : "";
  const inStat = (entry: string): Why => ({
    ...sourceRule(stat, entry),
    rule: `${entry} in ${stat?.words}`,
  });
  const of = (field: string, unit: string): Why => {
    const why = meminfo(field);
    return { ...why, rule: `${field} of /proc/meminfo in ${unit}: ${why.rule}` };
  };
  const why = (name: string): Why => {
    const [amount, ...more] = AMOUNTS[name] ?? [];
    if (more.length > 0)
      return { rule: `${[amount, ...more].join(" + ")} of /proc/meminfo in pages` };
    if (amount !== undefined) return of(amount, "pages");
    const huge = HUGE_AMOUNTS[name];
    if (huge !== undefined) return of(huge, "huge pages");
    switch (name) {
      case "nr_kernel_stack":
        return of("KernelStack", "KiB");
      case "pgpgin":
        return { rule: "KiB read from all devices of /proc/diskstats" };
      case "pgpgout":
        return { rule: "KiB written to all devices of /proc/diskstats" };
    }
    if (memory?.stat.events.has(name) === true) return inStat(`${prefix}${name}`);
    return { rule: "no cgroup counts it" };
  };
  const fields = text
    .split("\n")
    .filter(Boolean)
    .map((line): Field => {
      const [name = "", value = ""] = line.split(" ");
      if (memory === undefined) {
        const rule = "the host's: this container has no memory controller";
        return { name, value, rule, file: `${evidence.procRoot}/vmstat` };
      }
      return { name, value, ...why(name) };
    });
  return {
    path: "proc/vmstat",
    summary: "the host's lines: amounts in pages, events since the container's cgroup was made",
    fields,
  };
}
