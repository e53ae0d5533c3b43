/**
 * Every name the Kubernetes parts agree on: labels, annotations, the files that can be mounted and
 * the paths on the node. The chart's `values.yaml` repeats the defaults; a test compares both.
 */

/** Label on namespaces and pods, annotation on pods: `enabled` opts in, `disabled` opts out. */
export const INJECT = "lxcfs.io/inject";

/** Annotation: the files this pod gets, by name, comma separated (`meminfo,cpuinfo,cpu`). */
export const FILES = "lxcfs.io/files";

/** Annotation: containers that get none, by name, comma separated. */
export const EXCLUDE_CONTAINERS = "lxcfs.io/exclude-containers";

/** Annotation: how many CPUs the pod's containers see, see `isCpuPolicy`. */
export const CPU_POLICY = "lxcfs.io/cpu-policy";

/** Annotation: whose limits and use the pod's containers see, their own or their pod's. */
export const BOUNDARY = "lxcfs.io/boundary";

export type Boundary = "container" | "pod";

export const BOUNDARIES: readonly Boundary[] = ["container", "pod"];

/** Annotation that is written: `injected`. It tells people; what decides is the pod's content. */
export const STATUS = "lxcfs.io/status";

/** Annotation that is written: `container:path` pairs which the pod had mounted itself. */
export const CONFLICTS = "lxcfs.io/conflicts";

/** Annotation of lxcfs-admission-webhook and of a fork of it, read as `INJECT` is. */
export const OLDER_INJECT = [
  "lxcfs-admission-webhook.aliyun.com/mutate",
  "mutating.lxcfs-admission-webhook.io/enable",
] as const;

/** Values that opt out, of our own and of the older annotations; compared in lower case. */
export const OPT_OUT_VALUES: ReadonlySet<string> = new Set([
  "n",
  "no",
  "false",
  "off",
  "0",
  "disable",
  "disabled",
]);

/** How `CPU_POLICY` is written, for people. */
export const CPU_POLICIES = "quota, cpuset, none, request, cpus=N";

/** Whether that is one: the server's own policies, and `request`, which only the agent can make out. */
export function isCpuPolicy(text: string): boolean {
  return /^(?:quota|cpuset|none|request|cpus=[1-9]\d*)$/.test(text);
}

/** What can be mounted over: one entry of the served tree. */
export interface ServedFile {
  /** Path below the mount on the node, and below `/` in the container. */
  readonly path: string;
  /** hostPath type: kubelet waits until the path is there and is this. */
  readonly type: "File" | "Directory";
}

/**
 * What pods can mount, by short name. runc refuses mounts over other files of `/proc` (pressure
 * among them), so these are all; what attaches to running containers has no such limit.
 */
export const SERVED_FILES: ReadonlyMap<string, ServedFile> = new Map([
  ["cpuinfo", { path: "/proc/cpuinfo", type: "File" }],
  ["diskstats", { path: "/proc/diskstats", type: "File" }],
  ["loadavg", { path: "/proc/loadavg", type: "File" }],
  ["meminfo", { path: "/proc/meminfo", type: "File" }],
  ["slabinfo", { path: "/proc/slabinfo", type: "File" }],
  ["stat", { path: "/proc/stat", type: "File" }],
  ["swaps", { path: "/proc/swaps", type: "File" }],
  ["uptime", { path: "/proc/uptime", type: "File" }],
  ["cpu", { path: "/sys/devices/system/cpu", type: "Directory" }],
]);

/** What a pod gets when nothing says otherwise. */
export const DEFAULT_FILES: readonly string[] = [
  "cpuinfo",
  "diskstats",
  "loadavg",
  "meminfo",
  "stat",
  "swaps",
  "uptime",
  "cpu",
];

/** Name of the pod volume that carries a served file. */
export function volumeName(file: string): string {
  return `lxcfs-${file}`;
}

/** Directory on the node that holds everything of ours that a reboot may take away. */
export const NODE_RUN_DIR = "/run/lxcfs-ts";

/** Where the filesystem is mounted on the node. Never a pod's hostPath itself: its parent is. */
export const NODE_MOUNT = `${NODE_RUN_DIR}/fs`;
