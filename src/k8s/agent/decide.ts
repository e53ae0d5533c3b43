/** Whether a running container is to be attached to, and with which files. Pure. */
import type { Pod } from "../api/objects.ts";
import {
  BOUNDARIES,
  BOUNDARY,
  type Boundary,
  DEFAULT_FILES,
  FILES,
  INJECT,
  OPT_OUT_VALUES,
  SERVED_FILES,
} from "../names.ts";
import type { InjectionSettings, SkipReason } from "../webhook/selection.ts";
import { skipReason, wishes } from "../webhook/selection.ts";
import type { Wanted } from "./wanted.ts";

/** Why a pod is left alone, in words. */
export const WHY_NOT = {
  namespace: "its namespace is one that is never touched",
  "not-opted-in": "neither its namespace nor itself is labelled lxcfs.io/inject=enabled",
  "opted-out": "it opts out by a label or an annotation",
  "mirror-pod": "it is a mirror of a static pod",
  windows: "it is of Windows",
  "host-pid": "it is there to look at the node (hostPID)",
  "runtime-class": "its RuntimeClass has a kernel or a /proc of its own",
  "user-namespace": "it has a user namespace (hostUsers: false)",
  "no-files": "it asks for no files (lxcfs.io/files)",
} as const satisfies Record<SkipReason | "not-opted-in", string>;

/** What is to be done with the containers of a pod. */
export type Decision =
  | { attach: false; why: keyof typeof WHY_NOT }
  | {
      attach: true;
      wanted: Wanted;
      excludedContainers: ReadonlySet<string>;
      boundary: Boundary;
    };

/**
 * @param always whether the pod was named by a person: then only what cannot work is refused
 */
export function decide(
  pod: Pod,
  namespaceLabels: Readonly<Record<string, string>>,
  settings: InjectionSettings,
  always = false,
): Decision {
  const namespace = pod.metadata?.namespace ?? "";
  if (!always) {
    // Static pods are changed by no admission, but they can be attached to like any other.
    const annotations = { ...pod.metadata?.annotations };
    delete annotations["kubernetes.io/config.mirror"];
    const plain = { ...pod, metadata: { ...pod.metadata, annotations } };
    // What attaching needs, the kernel has where it has user namespaces worth the name.
    const why = skipReason(plain, namespace, { ...settings, userNamespaces: true });
    if (why) return { attach: false, why };
    if (!optedIn(pod, namespaceLabels, settings)) return { attach: false, why: "not-opted-in" };
  }
  const { excludedContainers } = wishes(pod, settings);
  const boundary =
    BOUNDARIES.find((each) => each === pod.metadata?.annotations?.[BOUNDARY]) ?? "container";
  return { attach: true, wanted: wantedBy(pod, settings), excludedContainers, boundary };
}

function optedIn(
  pod: Pod,
  labels: Readonly<Record<string, string>>,
  settings: InjectionSettings,
): boolean {
  if (settings.podOptIn && pod.metadata?.labels?.[INJECT] === "enabled") return true;
  if (OPT_OUT_VALUES.has(labels[INJECT]?.toLowerCase() ?? "")) return false;
  return settings.namespaceLabels.some(({ key, value }) => labels[key] === value);
}

function wantedBy(pod: Pod, settings: InjectionSettings): Wanted {
  const listed = pod.metadata?.annotations?.[FILES];
  const names = new Set(listed?.split(",").map((name) => name.trim()) ?? settings.files);
  const paths: string[] = [];
  const unasked: string[] = [];
  for (const [name, { path }] of SERVED_FILES) (names.has(name) ? paths : unasked).push(path);
  // What no name stands for comes with the whole set only.
  const whole = listed === undefined && DEFAULT_FILES.every((name) => names.has(name));
  return { paths, unasked, pressure: whole || names.has("pressure"), others: whole };
}
