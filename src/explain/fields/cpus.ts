/** Why a container has the CPUs it has: the same in cpuinfo, stat and the lists of sysfs. */
import { formatCpuList } from "../../host/cpu_list.ts";
import { readOnlineCpus } from "../../host/cpus.ts";
import { parseOwnCpuPolicy, topologyOf, type OwnCpuPolicy } from "../../machine/topology.ts";
import { baseName, cgroupOf, type Explanation, type Field } from "../field.ts";
import {
  amongLevels,
  type Evidence,
  levelOf,
  type Source,
  sourceOf,
  type Why,
} from "./cgroup_rules.ts";

type Quota = ReturnType<Evidence["container"]["cgroups"]["quota"]>;

/** What decides the container's CPUs, and which of the host's they are. */
interface Cpus {
  readonly policy: OwnCpuPolicy;
  /** Set for this container alone; `undefined`: the server's option holds. */
  readonly own: string | undefined;
  readonly online: readonly number[];
  readonly cpuset: readonly number[] | undefined;
  readonly quota: Quota;
  /** In the container's order. */
  readonly hostCpus: readonly number[];
}

function cpusOf({ container, settings, sysRoot }: Evidence): Cpus {
  const online = readOnlineCpus(sysRoot);
  const own = container.cpuPolicy();
  const wanted = own ?? settings?.cpuPolicy ?? "cpuset";
  const policy = parseOwnCpuPolicy(wanted) ?? "cpuset";
  const cpuset = container.cgroups.cpuset();
  const quota = container.cgroups.quota();
  const { hostCpus } = topologyOf(policy, online, cpuset, quota);
  return { policy, own, online, cpuset, quota, hostCpus };
}

/** The host's CPUs that the container has, in its order. */
export function hostCpusOf(evidence: Evidence): readonly number[] {
  return cpusOf(evidence).hostCpus;
}

/** How many, of which of the host's, and by which of policy, cpuset and quota. */
export function cpuFields(evidence: Evidence): Field[] {
  const cpus = cpusOf(evidence);
  const { policy, own, cpuset, quota, hostCpus } = cpus;
  const cpusetSource = sourceOf(evidence, "cpuset", [
    "cpuset.effective_cpus",
    "cpuset.cpus.effective",
  ]);
  const quotaSource = sourceOf(evidence, "cpu", ["cpu.cfs_quota_us", "cpu.max"]);
  const byQuota = quotaRule(quota, quotaSource);
  return [
    {
      name: "CPUs",
      value: String(hostCpus.length),
      ...numberRule(cpus, cpusetSource, byQuota),
    },
    {
      name: "host's CPUs",
      value: formatCpuList(hostCpus),
      rule: "shown in this order, numbered from 0",
    },
    {
      name: "policy",
      value: typeof policy === "number" ? `cpus=${policy}` : policy,
      rule:
        own === undefined
          ? evidence.settings === undefined
            ? "the default: the server could not be asked"
            : "the server's option --cpu-policy"
          : "set for this container (trusted.lxcfs.cpu_policy of its cgroup)",
    },
    {
      name: "cpuset",
      value: cpuset === undefined ? "none" : formatCpuList(cpuset),
      ...(cpusetSource === undefined
        ? { rule: "no cpuset controller" }
        : {
            rule: `what is effective, ${cpusetSource.words}`,
            file: cpusetSource.file,
            level: cpusetSource.level,
          }),
    },
    {
      name: "quota",
      value: Number.isFinite(quota.cpus) ? quota.cpus.toFixed(2) : "none",
      ...byQuota,
      rule: `${byQuota.rule}${policy === "quota" ? "" : "; does not bound the number under this policy"}`,
    },
  ];
}

/** Which of the three decided the number. */
function numberRule(cpus: Cpus, cpusetSource: Source | undefined, byQuota: Why): Why {
  const { policy, online, cpuset, quota, hostCpus } = cpus;
  if (policy === "quota" && hostCpus.length < (cpuset ?? online).length) {
    return {
      ...byQuota,
      rule: `${quota.cpus.toFixed(2)} CPUs of quota, rounded up: ${byQuota.rule}`,
    };
  }
  if (typeof policy === "number" && hostCpus.length < (cpuset ?? online).length)
    return { rule: "as many as were set for this container: see policy" };
  if (policy === "none") return { rule: "all of the host's: the policy is none" };
  if (cpuset === undefined || cpuset.length >= online.length) {
    return { rule: "all of the host's: its cpuset excludes none" };
  }
  if (cpusetSource === undefined) return { rule: "its cpuset" };
  const { file, level, words } = cpusetSource;
  return { rule: `its cpuset: ${words}`, file, level };
}

function quotaRule(quota: Quota, own: Source | undefined): Why {
  const { file, levels, quotaUs, periodUs } = quota;
  if (levels === 0) return { rule: "it is in no cgroup of the cpu controller" };
  if (file === undefined) return { rule: `no quota at any of ${levels} levels`, levels };
  const where = `${baseName(file)} of ${cgroupOf(file)}, ${amongLevels(levels)}`;
  return { rule: `${quotaUs} us in ${periodUs} us, ${where}`, file, levels, ...levelOf(file, own) };
}

/** Lines of cpuinfo that are the container's count, not the host's text. */
const COUNTED: Readonly<Record<string, string>> = {
  siblings: "the container's CPUs of the same package, counted",
  "cpu cores": "their cores, counted",
  "# processors": "the container's CPUs, counted",
};

/**
 * /proc/cpuinfo: which of the host's CPUs each block is of, and the lines of the first block: those of
 * the others come from the same places.
 */
export function explainCpuinfo(evidence: Evidence, text: string): Explanation {
  const file = `${evidence.procRoot}/cpuinfo`;
  const hostCpus = hostCpusOf(evidence);
  const fields: Field[] = [];
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    const value = line.slice(colon + 1).trim();
    if (name === "processor") {
      const rule = `the host's CPU ${hostCpus[Number(value)] ?? "?"}, numbered from 0`;
      fields.push({ name, value, rule, file });
    } else if (!seen.has(name)) {
      const counted = COUNTED[name];
      const rule = counted ?? "the host's text of that CPU";
      fields.push({ name, value, rule, ...(counted === undefined ? { file } : {}) });
    }
    seen.add(name);
  }
  const blocks = String(fields.filter(({ name }) => name === "processor").length);
  const shown = { name: "processors", value: blocks, rule: "blocks in the file; see CPUs" };
  return {
    path: "proc/cpuinfo",
    summary: "the host's text of each CPU the container has, numbered from 0",
    fields: [shown, ...cpuFields(evidence), ...fields],
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
