/** Why a container has the CPUs it has: the same in cpuinfo, stat and the lists of sysfs. */
import { formatCpuList } from "../../host/cpu_list.ts";
import { readOnlineCpus } from "../../host/cpus.ts";
import { CPU_POLICIES, topologyOf, type CpuPolicy } from "../../machine/topology.ts";
import { baseName, cgroupOf, type Explanation, type Field } from "../field.ts";
import { type Evidence, ownFile } from "./cgroup_rules.ts";

/** How many, of which of the host's, and by which of policy, cpuset and quota. */
export function cpuFields(evidence: Evidence): Field[] {
  const { container, settings, sysRoot } = evidence;
  const online = readOnlineCpus(sysRoot);
  const own = container.cpuPolicy();
  const mounts = settings?.cpuPolicy ?? "cpuset";
  const policy: CpuPolicy = CPU_POLICIES.find((each) => each === (own ?? mounts)) ?? "cpuset";
  const cpuset = container.cgroups.cpuset();
  const quota = container.cgroups.quota();
  const { hostCpus } = topologyOf(policy, online, cpuset, quota);
  const cpusetFile = ownFile(evidence, "cpuset", "cpuset.effective_cpus", "cpuset.cpus.effective");
  const byQuota = policy === "quota" && hostCpus.length < (cpuset ?? online).length;
  const byCpuset = policy !== "none" && cpuset !== undefined && cpuset.length < online.length;
  const decided: Partial<Field> & { rule: string } = byQuota
    ? {
        rule: `${quota.cpus.toFixed(2)} CPUs of quota, rounded up: ${quotaRule(quota)}`,
        ...(quota.file === undefined ? {} : { file: quota.file }),
        levels: quota.levels,
      }
    : byCpuset
      ? {
          rule: `its cpuset: ${baseName(cpusetFile ?? "cpuset/")} of ${cgroupOf(cpusetFile ?? "")}`,
          ...(cpusetFile === undefined ? {} : { file: cpusetFile }),
        }
      : {
          rule:
            policy === "none"
              ? "all of the host's: the policy is none"
              : "all of the host's: its cpuset excludes none",
        };
  return [
    { name: "CPUs", value: String(hostCpus.length), ...decided },
    {
      name: "host's CPUs",
      value: formatCpuList(hostCpus),
      rule: "shown in this order, numbered from 0",
    },
    {
      name: "policy",
      value: policy,
      rule:
        own === undefined
          ? settings === undefined
            ? "the default: the server could not be asked"
            : "the server's option --cpu-policy"
          : "set for this container (trusted.lxcfs.cpu_policy of its cgroup)",
    },
    {
      name: "cpuset",
      value: cpuset === undefined ? "none" : formatCpuList(cpuset),
      rule: cpusetFile === undefined ? "no cpuset controller" : "what is effective",
      ...(cpusetFile === undefined ? {} : { file: cpusetFile }),
    },
    {
      name: "quota",
      value: Number.isFinite(quota.cpus) ? quota.cpus.toFixed(2) : "none",
      rule: `${quotaRule(quota)}${policy === "quota" ? "" : "; does not bound the number under this policy"}`,
      ...(quota.file === undefined ? {} : { file: quota.file }),
      levels: quota.levels,
    },
  ];
}

function quotaRule(quota: {
  readonly file: string | undefined;
  readonly quotaUs: number;
  readonly periodUs: number;
  readonly levels: number;
}): string {
  if (quota.levels === 0) return "it is in no cgroup of the cpu controller";
  if (quota.file === undefined) return `no quota at any of ${quota.levels} levels`;
  const which = quota.levels === 1 ? "the only level" : `the tightest of ${quota.levels} levels`;
  const times = `${quota.quotaUs} us in ${quota.periodUs} us`;
  return `${times}, ${baseName(quota.file)} of ${cgroupOf(quota.file)}, ${which}`;
}

/** /proc/cpuinfo: the blocks are the host's, their number is explained. */
export function explainCpuinfo(evidence: Evidence, text: string): Explanation {
  const blocks = text.match(/^processor\s*:/gm)?.length ?? 0;
  const shown = { name: "processors", value: String(blocks), rule: "blocks in the file; see CPUs" };
  return {
    path: "proc/cpuinfo",
    summary: "the host's text of each CPU the container has, numbered from 0",
    fields: [shown, ...cpuFields(evidence)],
  };
}

/** A list of CPUs in sysfs. */
export function explainCpuList(evidence: Evidence, path: string, text: string): Explanation {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const empty = name === "offline";
  const rule = empty ? "none: all that it has are online" : "numbered from 0; see CPUs";
  return {
    path,
    summary: "the CPUs the container has",
    fields: [{ name, value: text.trim(), rule }, ...cpuFields(evidence)],
  };
}
