/** Where each line of /proc/stat comes from. */
import type { Explanation, Field } from "../field.ts";
import { type Evidence, sourceOf, sourceRule } from "./cgroup_rules.ts";
import { cpuFields } from "./cpus.ts";

export function explainStat(evidence: Evidence, text: string): Explanation {
  const host = `${evidence.procRoot}/stat`;
  const times = sourceRule(sourceOf(evidence, "cpuacct", ["cpuacct.usage_percpu", "cpu.stat"]), "");
  const perCpu = times.file?.endsWith("usage_percpu") === true;
  const how = perCpu
    ? `its CPU's part of ${times.rule}, divided as cpuacct.usage_all does`
    : `an equal part of ${times.rule}`;
  const fields = text
    .trimEnd()
    .split("\n")
    .map((line): Field => {
      const [name = ""] = line.split(" ", 1);
      const value = line.slice(name.length).trim();
      const field = { name, value };
      if (name === "cpu") {
        return { ...field, rule: "sum of the rows below: user nice system idle in ticks of 10 ms" };
      }
      if (name.startsWith("cpu")) {
        return { ...field, ...times, rule: `${how}; idle is the rest of its time` };
      }
      if (name === "btime") return { ...field, rule: "the host's, moved by its time namespace" };
      if (name === "processes") return { ...field, rule: "the youngest pid in the container" };
      if (name.startsWith("procs_")) return { ...field, rule: "its threads, counted" };
      return { ...field, rule: "the host's: no cgroup counts them", file: host };
    });
  return {
    path: "proc/stat",
    summary: "CPU time that the container used, spread over the CPUs it has",
    fields: [...fields, ...cpuFields(evidence)],
  };
}
