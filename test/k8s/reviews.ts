/** What several tests of this folder share: recorded reviews, and a JSON patch applied. */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import type { AdmissionRequest, Container, Pod, Volume } from "../../src/k8s/api/objects.ts";
import { CONFLICTS, INJECT, STATUS } from "../../src/k8s/names.ts";
import type { PatchOperation } from "../../src/k8s/webhook/mutate.ts";
import { parseReview } from "../../src/k8s/webhook/review.ts";

const DIR = new URL("../../../fixtures/k8s/reviews/", import.meta.url);

/** Names of the recorded AdmissionReviews. */
export function reviewNames(): string[] {
  return readdirSync(DIR).map((file) => file.replace(/\.json$/, ""));
}

/** The JSON text of a recorded AdmissionReview. */
export function reviewText(name: string): string {
  return readFileSync(new URL(`${name}.json`, DIR), "utf8");
}

/** The request of a recorded AdmissionReview, and its pod. */
export function recorded(name: string): { request: AdmissionRequest; pod: Pod } {
  const request = parseReview(reviewText(name));
  if (!request.object) throw new Error(`Review "${name}" has no object`);
  return { request, pod: request.object };
}

/** RFC 6902 `add`, as strict as the API server: a path that leads nowhere is an error. */
export function applied(pod: Pod, patch: readonly PatchOperation[]): Pod {
  const copy = structuredClone(pod);
  for (const { path, value } of patch) {
    const steps = path
      .split("/")
      .slice(1)
      .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = steps.pop() ?? "";
    let target: unknown = copy;
    for (const step of steps) {
      target = (target as Record<string, unknown>)[step];
      if (typeof target !== "object" || target === null) throw new Error(`No "${step}" of ${path}`);
    }
    if (!Array.isArray(target)) (target as Record<string, unknown>)[last] = structuredClone(value);
    else if (last === "-") target.push(structuredClone(value));
    else target.splice(Number(last), 0, structuredClone(value));
  }
  return copy;
}

/** Pods with everything in them that can get in the way. */
export const anyPod: fc.Arbitrary<Pod> = (() => {
  const volumeNames = ["data", "lxcfs-meminfo", "lxcfs-cpu", "lxcfs-uptime"];
  const mountPaths = [
    "/data",
    "/proc",
    "/proc/meminfo",
    "/proc/meminfo/",
    "/sys",
    "/",
    "/procfs",
    "/sys/devices/system/cpu/online",
    "/sys/devices/system/cpufreq",
  ];
  const mount = fc.record({
    name: fc.constantFrom(...volumeNames),
    mountPath: fc.constantFrom(...mountPaths),
  });
  const container: fc.Arbitrary<Container> = fc.record(
    {
      name: fc.constantFrom("a", "b", "c"),
      volumeMounts: fc.option(
        fc.uniqueArray(mount, { maxLength: 3, selector: (m) => m.mountPath }),
      ),
    },
    { requiredKeys: ["name"] },
  );
  const volume: fc.Arbitrary<Volume> = fc.record(
    {
      name: fc.constantFrom(...volumeNames),
      hostPath: fc.record({
        path: fc.constantFrom(
          "/data",
          "/run/lxcfs-ts/fs/proc/meminfo",
          "/run/lxcfs-ts/fs/proc/uptime",
        ),
      }),
    },
    { requiredKeys: ["name"] },
  );
  const containers = fc.option(fc.array(container, { maxLength: 3 }));
  const pod = fc.record({
    metadata: fc.record(
      {
        labels: fc.option(
          fc.dictionary(fc.constantFrom(INJECT, "app"), fc.constantFrom("enabled", "x")),
        ),
        annotations: fc.option(
          fc.dictionary(
            fc.constantFrom("lxcfs.io/files", "lxcfs.io/exclude-containers", STATUS, CONFLICTS),
            fc.constantFrom("meminfo,cpu", "a", "", "nonsense,uptime"),
          ),
        ),
      },
      { requiredKeys: [] },
    ),
    spec: fc.record(
      {
        containers,
        initContainers: containers,
        volumes: fc.option(fc.uniqueArray(volume, { maxLength: 3, selector: (v) => v.name })),
        hostPID: fc.boolean(),
        hostUsers: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  });
  // As it comes off the wire: plain objects.
  return pod.map((made) => JSON.parse(JSON.stringify(made)) as Pod);
})();
