/**
 * Turns a pod into the JSON patch (RFC 6902) that mounts the served files into its containers.
 * Pure. What is already there stays: run on its own result it returns an empty patch, and a path
 * that the pod mounts itself remains the pod's.
 */
import type { Container, Pod, Volume, VolumeMount } from "../api/objects.ts";
import { CONFLICTS, SERVED_FILES, STATUS, volumeName } from "../names.ts";
import type { ServedFile } from "../names.ts";
import type { InjectionSettings, SkipReason } from "./selection.ts";
import { skipReason, wishes } from "./selection.ts";

/** One step of a JSON patch; nothing is ever replaced but our own annotations, nothing removed. */
export interface PatchOperation {
  op: "add";
  path: string;
  value: unknown;
}

/** What is to be done with a pod. */
export interface Mutation {
  patch: PatchOperation[];
  /** Set when the pod is left alone as a whole. */
  skipped?: SkipReason;
  /** `container:path` that the pod mounts itself. */
  conflicts: string[];
  /** For the user, shown by `kubectl`. */
  warnings: string[];
}

/** The mutation of a pod that is being created. */
export function mutatePod(pod: Pod, namespace: string, settings: InjectionSettings): Mutation {
  const skipped = skipReason(pod, namespace, settings);
  if (skipped) return { patch: [], skipped, conflicts: [], warnings: [] };
  const { files, excludedContainers, warnings } = wishes(pod, settings);
  if (files.length === 0) return { patch: [], skipped: "no-files", conflicts: [], warnings };

  const volumes = ourVolumes(files, settings);
  const usable = volumes.filter((volume) => !takenByOther(pod.spec?.volumes, volume));
  const conflicts: string[] = [];
  const patch: PatchOperation[] = [];
  const used = new Set<string>();
  for (const kind of ["initContainers", "containers"] as const) {
    for (const [index, container] of (pod.spec?.[kind] ?? []).entries()) {
      if (excludedContainers.has(container.name)) continue;
      const mounts = missingMounts(container, usable, conflicts);
      for (const mount of mounts) used.add(mount.name);
      patch.push(...append(`/spec/${kind}/${index}/volumeMounts`, container.volumeMounts, mounts));
    }
  }
  if (patch.length === 0) return { patch, conflicts, warnings };

  const present = new Set(pod.spec?.volumes?.map((volume) => volume.name));
  const missing = usable.filter((volume) => used.has(volume.name) && !present.has(volume.name));
  patch.unshift(...append("/spec/volumes", pod.spec?.volumes, missing));
  patch.push(...annotate(pod, conflicts));
  return { patch, conflicts, warnings };
}

/**
 * The mutation of `pods/ephemeralcontainers`: only containers that are new may change, and only
 * volumes the pod already has can be mounted.
 */
export function mutateEphemeral(
  pod: Pod,
  oldPod: Pod | null | undefined,
  namespace: string,
  settings: InjectionSettings,
): Mutation {
  const skipped = skipReason(pod, namespace, settings);
  if (skipped) return { patch: [], skipped, conflicts: [], warnings: [] };
  const { excludedContainers } = wishes(pod, settings);
  const all = ourVolumes([...SERVED_FILES.keys()], settings);
  const usable = all.filter((volume) => pod.spec?.volumes?.some((own) => isSame(own, volume)));
  const old = new Set(oldPod?.spec?.ephemeralContainers?.map((container) => container.name));
  const conflicts: string[] = [];
  const patch: PatchOperation[] = [];
  for (const [index, container] of (pod.spec?.ephemeralContainers ?? []).entries()) {
    if (old.has(container.name) || excludedContainers.has(container.name)) continue;
    const mounts = missingMounts(container, usable, conflicts);
    const path = `/spec/ephemeralContainers/${index}/volumeMounts`;
    patch.push(...append(path, container.volumeMounts, mounts));
  }
  return { patch, conflicts, warnings: [] };
}

/** A volume for each file. One volume with subPaths would make directories where a file is absent. */
function ourVolumes(files: readonly string[], settings: InjectionSettings): Volume[] {
  return files.map((file) => {
    const { path, type } = served(file);
    return { name: volumeName(file), hostPath: { path: `${settings.mountPath}${path}`, type } };
  });
}

function served(file: string): ServedFile {
  const found = SERVED_FILES.get(file);
  if (!found) throw new RangeError(`No served file is called "${file}"`);
  return found;
}

/** Where the volume is to appear in containers. */
function mountPathOf(volume: Volume): string {
  return served(volume.name.slice(volumeName("").length)).path;
}

function isSame(one: Volume, other: Volume): boolean {
  return one.name === other.name && one.hostPath?.path === other.hostPath?.path;
}

/** Whether the pod has a volume of this name that is something else. */
function takenByOther(volumes: readonly Volume[] | null | undefined, ours: Volume): boolean {
  return volumes?.some((own) => own.name === ours.name && !isSame(own, ours)) ?? false;
}

/** The mounts a container still lacks; what it mounts itself there is added to `conflicts`. */
function missingMounts(
  container: Container,
  volumes: readonly Volume[],
  conflicts: string[],
): VolumeMount[] {
  const present = container.volumeMounts ?? [];
  const missing: VolumeMount[] = [];
  for (const { name, mountPath } of volumes.map((v) => ({ ...v, mountPath: mountPathOf(v) }))) {
    const inTheWay = present.find((mount) => overlaps(mount.mountPath, mountPath));
    if (!inTheWay) missing.push({ name, mountPath, readOnly: true });
    else if (inTheWay.name !== name) conflicts.push(`${container.name}:${inTheWay.mountPath}`);
  }
  return missing;
}

/** Same path, or one within the other: `/proc` itself, or `/sys/devices/system/cpu/online`. */
function overlaps(one: string, other: string): boolean {
  const a = `${one.replace(/\/+$/, "")}/`;
  const b = `${other}/`;
  return a.startsWith(b) || b.startsWith(a);
}

function append(path: string, present: unknown[] | null | undefined, values: readonly unknown[]) {
  const operations: PatchOperation[] = [];
  if (values.length === 0) return operations;
  // An empty list and null are what Go leaves out or writes; either way there is nothing to append to.
  if (!present) return [{ op: "add", path, value: values }] satisfies PatchOperation[];
  for (const value of values) operations.push({ op: "add", path: `${path}/-`, value });
  return operations;
}

function annotate(pod: Pod, conflicts: readonly string[]): PatchOperation[] {
  const values: Record<string, string> = { [STATUS]: "injected" };
  if (conflicts.length > 0) values[CONFLICTS] = [...new Set(conflicts)].join(",");
  if (!pod.metadata?.annotations)
    return [{ op: "add", path: "/metadata/annotations", value: values }];
  return Object.entries(values).map(([key, value]) => ({
    op: "add",
    path: `/metadata/annotations/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
    value,
  }));
}
