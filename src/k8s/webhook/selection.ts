/**
 * Which pods are left alone, and which files the others get. Pure: everything it looks at is in
 * the request and the settings, so that the admission policy of the chart can say the same in CEL.
 */
import type { Pod } from "../api/objects.ts";
import {
  BOUNDARIES,
  BOUNDARY,
  CPU_POLICIES,
  CPU_POLICY,
  DEFAULT_FILES,
  EXCLUDE_CONTAINERS,
  FILES,
  INJECT,
  isCpuPolicy,
  OLDER_INJECT,
  OPT_OUT_VALUES,
  SERVED_FILES,
} from "../names.ts";

/** What the chart settles for the whole cluster. */
export interface InjectionSettings {
  /** Where the filesystem is mounted on every node. */
  mountPath: string;
  /** Files a pod gets when it names none itself. */
  files: readonly string[];
  /** Namespaces never touched, whatever their labels: our own and the system's. */
  skipNamespaces: readonly string[];
  /** RuntimeClasses that bring their own kernel or their own /proc; `*` at the end matches any rest. */
  skipRuntimeClasses: readonly string[];
  /** Whether pods with `hostUsers: false` are mounted into: needs FUSE_ALLOW_IDMAP, Linux 6.12. */
  userNamespaces: boolean;
  /** Labels of namespaces that opt in. The webhook is only ever called for such; the agent asks. */
  namespaceLabels: readonly NamespaceLabel[];
  /** Whether a pod's own label opts it in where its namespace has not. */
  podOptIn: boolean;
}

/** A label by which a namespace opts in, and a name for it in the chart's objects. */
export interface NamespaceLabel {
  name: string;
  key: string;
  value: string;
}

/** Settings where the chart says nothing. */
export const DEFAULT_SETTINGS: InjectionSettings = {
  mountPath: "/run/lxcfs-ts/fs",
  files: DEFAULT_FILES,
  skipNamespaces: ["kube-system", "kube-public", "kube-node-lease"],
  skipRuntimeClasses: ["kata*", "gvisor*", "runsc*", "sysbox*"],
  userNamespaces: false,
  namespaceLabels: [
    { name: "lxcfs", key: INJECT, value: "enabled" },
    { name: "aliyun", key: "lxcfs-admission-webhook", value: "enabled" },
    { name: "mount-lxcfs", key: "mount-lxcfs", value: "enabled" },
  ],
  podOptIn: true,
};

/** Why a pod is left as it is. */
export type SkipReason =
  | "namespace"
  | "opted-out"
  | "mirror-pod"
  | "windows"
  | "host-pid"
  | "runtime-class"
  | "user-namespace"
  | "no-files";

/** @returns why this pod is left alone, or `undefined` if it is ours to change */
export function skipReason(
  pod: Pod,
  namespace: string,
  settings: InjectionSettings,
): SkipReason | undefined {
  if (settings.skipNamespaces.includes(namespace)) return "namespace";
  const { metadata, spec } = pod;
  // A mirror pod only shows what kubelet already runs from a file: a change would be a lie.
  if (metadata?.annotations?.["kubernetes.io/config.mirror"] !== undefined) return "mirror-pod";
  if (optedOut(pod)) return "opted-out";
  if (spec?.os?.name === "windows" || spec?.nodeSelector?.["kubernetes.io/os"] === "windows")
    return "windows";
  // A pod that sees the host's processes is there to look at the host.
  if (spec?.hostPID === true) return "host-pid";
  const runtimeClass = spec?.runtimeClassName;
  if (runtimeClass && settings.skipRuntimeClasses.some((glob) => matches(glob, runtimeClass)))
    return "runtime-class";
  if (spec?.hostUsers === false && !settings.userNamespaces) return "user-namespace";
  return undefined;
}

/** Our own label and annotation go before those of the older webhooks; the label goes first. */
function optedOut(pod: Pod): boolean {
  const annotations = pod.metadata?.annotations;
  const own = pod.metadata?.labels?.[INJECT] ?? annotations?.[INJECT];
  if (own !== undefined) return OPT_OUT_VALUES.has(own.toLowerCase());
  return OLDER_INJECT.some((key) => OPT_OUT_VALUES.has(annotations?.[key]?.toLowerCase() ?? ""));
}

function matches(glob: string, name: string): boolean {
  return glob.endsWith("*") ? name.startsWith(glob.slice(0, -1)) : name === glob;
}

/** What a pod asks for by its annotations, with what is wrong with it in words for `kubectl`. */
export interface Wishes {
  files: string[];
  excludedContainers: ReadonlySet<string>;
  warnings: string[];
}

/** Reads a pod's annotations. Unknown names are told and left out, never a reason to refuse a pod. */
export function wishes(pod: Pod, settings: InjectionSettings): Wishes {
  const annotations = pod.metadata?.annotations ?? {};
  const warnings: string[] = [];
  const wanted = annotations[FILES] === undefined ? settings.files : list(annotations[FILES]);
  const files: string[] = [];
  for (const name of wanted) {
    if (files.includes(name)) continue;
    if (SERVED_FILES.has(name)) files.push(name);
    else warnings.push(unknownFile(name));
  }
  const policy = annotations[CPU_POLICY];
  if (policy !== undefined && !isCpuPolicy(policy)) {
    warnings.push(
      `lxcfs: annotation ${CPU_POLICY} is "${policy}": expected one of ${CPU_POLICIES}`,
    );
  }
  const boundary = annotations[BOUNDARY];
  if (boundary !== undefined && !BOUNDARIES.some((each) => each === boundary)) {
    const known = BOUNDARIES.join(", ");
    warnings.push(`lxcfs: annotation ${BOUNDARY} is "${boundary}": expected one of ${known}`);
  }
  return { files, excludedContainers: new Set(list(annotations[EXCLUDE_CONTAINERS])), warnings };
}

function unknownFile(name: string): string {
  if (name.startsWith("pressure"))
    return `lxcfs: "${name}" is not mounted: runc refuses it; injection mode "attach" shows it`;
  const known = [...SERVED_FILES.keys()].join(", ");
  return `lxcfs: annotation ${FILES} names "${name}": expected some of ${known}`;
}

function list(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
