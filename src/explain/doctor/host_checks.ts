/** What this host lets a server do: kernel, cgroups, /proc. Roots are arguments, for tests. */
import { accessSync, constants, existsSync, readdirSync, readlinkSync } from "node:fs";
import { detectLayout, hierarchyOf } from "../../cgroup/layout.ts";
import { parseMountinfo } from "../../host/mountinfo.ts";
import { tryReadFile } from "../../sys/read.ts";
import type { Finding } from "./finding.ts";

export interface HostRoots {
  readonly proc: string;
  /** Prefix of everything that is not below proc: `/dev`, and mount points of cgroups. */
  readonly root: string;
}

/** Kernels from which on something works better, oldest first. */
const KERNEL_GAINS: readonly (readonly [major: number, minor: number, what: string])[] = [
  [6, 5, "replacing a dead mount leaves containers without their files for a moment"],
  [6, 9, "the kernel cannot be asked to send requests again (the server keeps them itself)"],
  [6, 12, "the mount cannot be given to user namespaces with mapped ids"],
];

export function hostChecks(roots: HostRoots): Finding[] {
  return [
    fuseDevice(roots),
    ...kernel(roots),
    ...cgroups(roots),
    procOptions(roots),
    readableInit(roots),
  ];
}

function fuseDevice({ root }: HostRoots): Finding {
  try {
    accessSync(`${root}/dev/fuse`, constants.R_OK | constants.W_OK);
    return { check: "fuse", severity: "ok", message: "/dev/fuse can be opened" };
  } catch {
    return {
      check: "fuse",
      severity: "error",
      message: "/dev/fuse cannot be opened: nothing can be mounted",
      remedy: "modprobe fuse; in a container, pass the device /dev/fuse to it",
    };
  }
}

function kernel({ proc }: HostRoots): Finding[] {
  const release = tryReadFile(`${proc}/sys/kernel/osrelease`)?.trim() ?? "";
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (!match) {
    return [{ check: "kernel", severity: "note", message: `unknown release "${release}"` }];
  }
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const older = (a: number, b: number): boolean => major < a || (major === a && minor < b);
  if (older(5, 10)) {
    return [
      {
        check: "kernel",
        severity: "error",
        message: `Linux ${release} is older than 5.10`,
        remedy: "use a newer kernel",
      },
    ];
  }
  const lacks = KERNEL_GAINS.filter(([a, b]) => older(a, b)).map(([a, b, what]): Finding => ({
    check: "kernel",
    severity: "note",
    message: `Linux ${release}: ${what}`,
    remedy: `Linux ${a}.${b} or later`,
  }));
  if (lacks.length > 0) return lacks;
  return [
    { check: "kernel", severity: "ok", message: `Linux ${release} has all that is made use of` },
  ];
}

/** What files get wrong without each controller. */
const CONTROLLERS: readonly (readonly [v1: string, v2: string, what: string])[] = [
  ["memory", "memory", "meminfo and swaps show the host's memory"],
  ["cpuset", "cpuset", "all of the host's CPUs are shown"],
  ["cpu", "cpu", "CPU quotas are not seen"],
  ["blkio", "io", "diskstats are the host's"],
];

function cgroups({ proc, root }: HostRoots): Finding[] {
  const text = tryReadFile(`${proc}/self/mountinfo`);
  const layout = text === undefined ? undefined : detectLayout(text);
  if (layout === undefined || layout.mode === "none") {
    return [
      {
        check: "cgroups",
        severity: "error",
        message: "no cgroups are mounted: containers cannot be told apart",
        remedy: "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
      },
    ];
  }
  const findings: Finding[] = [];
  for (const [v1, v2, what] of CONTROLLERS) {
    const hierarchy = hierarchyOf(layout.hierarchies, v1);
    const directory = hierarchy && root + hierarchy.mountPoint;
    const has =
      hierarchy?.version === 1 ||
      (tryReadFile(`${directory}/cgroup.controllers`) ?? "").trim().split(" ").includes(v2);
    if (has) continue;
    findings.push({
      check: "controllers",
      severity: "warning",
      message: `no ${v2} controller: ${what}`,
      remedy: `remove cgroup_disable=${v2} from the kernel's command line, or mount the controller`,
    });
  }
  if (findings.length === 0) {
    findings.push({
      check: "controllers",
      severity: "ok",
      message: `memory, cpuset, cpu and io (cgroups: ${layout.mode})`,
    });
  }
  const memory = hierarchyOf(layout.hierarchies, "memory");
  if (memory) findings.push(swapAccounting(root + memory.mountPoint, memory.version, proc));
  return findings;
}

function swapAccounting(directory: string, version: 1 | 2, proc: string): Finding {
  const check = "swap";
  const accounted =
    version === 1
      ? existsSync(`${directory}/memory.memsw.limit_in_bytes`)
      : childHas(directory, "memory.swap.max");
  const swap = Number(/^SwapTotal:\s*(\d+)/m.exec(tryReadFile(`${proc}/meminfo`) ?? "")?.[1] ?? 0);
  if (accounted === undefined) {
    return { check, severity: "ok", message: "no cgroup to look at yet" };
  }
  if (accounted) return { check, severity: "ok", message: "swap is accounted to cgroups" };
  return {
    check,
    severity: swap > 0 ? "warning" : "note",
    message: "swap is not accounted to cgroups: containers are shown none",
    remedy: "boot with swapaccount=1 on the kernel's command line",
  };
}

/** The root cgroup of v2 has no limits: a child of it tells. `undefined`: there is none. */
function childHas(directory: string, name: string): boolean | undefined {
  let seen: boolean | undefined;
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      if (existsSync(`${directory}/${entry.name}/${name}`)) return true;
      if (existsSync(`${directory}/${entry.name}/memory.max`)) seen = false;
    }
  } catch {
    // Not readable: nothing is known.
  }
  return seen;
}

function procOptions({ proc }: HostRoots): Finding {
  const mounts = parseMountinfo(tryReadFile(`${proc}/self/mountinfo`) ?? "");
  const own = mounts.findLast(({ mountPoint, type }) => mountPoint === "/proc" && type === "proc");
  const hidden = /hidepid=([^,]+)/.exec(`${own?.superOptions},${own?.options}`)?.[1];
  if (hidden === undefined || hidden === "0" || hidden === "off") {
    return { check: "hidepid", severity: "ok", message: "/proc shows all processes" };
  }
  return {
    check: "hidepid",
    severity: "warning",
    message: `/proc is mounted with hidepid=${hidden}: without CAP_SYS_PTRACE callers are not known`,
    remedy: "run lxcfs as root with CAP_SYS_PTRACE, or: mount -o remount,hidepid=0 /proc",
  };
}

/** Yama, LSMs and user namespaces can keep even root from looking at process 1. */
function readableInit({ proc }: HostRoots): Finding {
  const check = "ptrace";
  try {
    readlinkSync(`${proc}/1/ns/mnt`);
    return { check, severity: "ok", message: "namespaces of other processes can be read" };
  } catch {
    const yama = tryReadFile(`${proc}/sys/kernel/yama/ptrace_scope`)?.trim();
    return {
      check,
      severity: "note",
      message: `namespaces of process 1 cannot be read${yama === "3" ? " (kernel.yama.ptrace_scope is 3)" : ""}: lxcfs does without, other tools may not`,
      remedy: "give the server CAP_SYS_PTRACE; check kernel.yama.ptrace_scope",
    };
  }
}
