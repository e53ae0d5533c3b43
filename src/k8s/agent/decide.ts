/** Whether a running container is to be attached to, and with which files. Pure. */
import type { Pod } from "../api/objects.ts";
import { DEFAULT_FILES, FILES, INJECT, OPT_OUT_VALUES, SERVED_FILES } from "../names.ts";
import type { InjectionSettings, SkipReason } from "../webhook/selection.ts";
import { skipReason, wishes } from "../webhook/selection.ts";

/** What is to be done with the containers of a pod. */
export type Decision =
  | { attach: false; why: SkipReason | "not-opted-in" }
  | {
      attach: true;
      /** Whether a path of the container is one of those it is to get. */
      wants: (path: string) => boolean;
      excludedContainers: ReadonlySet<string>;
    };

/** What only attaching can show: the runtime refuses mounts over these in a specification. */
const PRESSURE = "/proc/pressure/";

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
  return { attach: true, wants: wanted(pod, settings), excludedContainers };
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

function wanted(pod: Pod, settings: InjectionSettings): (path: string) => boolean {
  const listed = pod.metadata?.annotations?.[FILES];
  const names = new Set(listed?.split(",").map((name) => name.trim()) ?? settings.files);
  const paths = new Set<string>();
  for (const [name, { path }] of SERVED_FILES) if (names.has(name)) paths.add(path);
  // What no name stands for comes with the whole set only.
  const whole = listed === undefined && DEFAULT_FILES.every((name) => names.has(name));
  const nameless = new Set([...SERVED_FILES.values()].map(({ path }) => path));
  return (path) => {
    if (paths.has(path)) return true;
    if (path.startsWith(PRESSURE)) return whole || names.has("pressure");
    return whole && !nameless.has(path);
  };
}
