/** What several tests of this folder share: recorded reviews, and a JSON patch applied. */
import { readdirSync, readFileSync } from "node:fs";
import type { AdmissionRequest, Pod } from "../api/objects.ts";
import type { PatchOperation } from "./mutate.ts";
import { parseReview } from "./review.ts";

const DIR = new URL("../../../../fixtures/k8s/reviews/", import.meta.url);

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
