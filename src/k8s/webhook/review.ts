/**
 * admission.k8s.io/v1 AdmissionReview: the question of the API server, and the answer. Whatever is
 * asked, the answer is "allowed": a pod without our files is better than no pod.
 */
import type { AdmissionRequest, AdmissionResponse, Pod } from "../api/objects.ts";
import type { Mutation } from "./mutate.ts";
import { mutateEphemeral, mutatePod } from "./mutate.ts";
import type { InjectionSettings } from "./selection.ts";

/** A request that is no AdmissionReview this webhook can answer. */
export class ReviewError extends Error {
  constructor(found: string) {
    super(`Cannot read AdmissionReview: ${found}`);
    this.name = "ReviewError";
  }
}

/** The `request` of a review's JSON text. @throws ReviewError */
export function parseReview(text: string): AdmissionRequest {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch (error) {
    throw new ReviewError(error instanceof Error ? error.message : String(error));
  }
  if (!isObject(review)) throw new ReviewError("body is no object");
  if (review["apiVersion"] !== "admission.k8s.io/v1" || review["kind"] !== "AdmissionReview")
    throw new ReviewError(`got ${String(review["apiVersion"])} ${String(review["kind"])}`);
  const request = review["request"];
  if (!isObject(request)) throw new ReviewError("request is missing");
  if (typeof request["uid"] !== "string") throw new ReviewError("request.uid is missing");
  if (!isObject(request["kind"])) throw new ReviewError("request.kind is missing");
  return request as unknown as AdmissionRequest;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The mutation that a request asks for; an empty one for whatever is none of our business. */
export function mutationFor(request: AdmissionRequest, settings: InjectionSettings): Mutation {
  const nothing: Mutation = { patch: [], conflicts: [], warnings: [] };
  const { object, kind } = request;
  if (!isPod(object) || kind.kind !== "Pod") return nothing;
  // The pod of a template has no namespace of its own yet: the request's is what counts.
  const namespace = request.namespace ?? object.metadata?.namespace ?? "";
  if (request.subResource === "ephemeralcontainers")
    return mutateEphemeral(object, request.oldObject, namespace, settings);
  if (request.operation !== "CREATE" || request.subResource) return nothing;
  return mutatePod(object, namespace, settings);
}

/** Whether the parts that are walked have the shapes the API server guarantees. */
function isPod(object: unknown): object is Pod {
  if (!isObject(object) || !isObject(object["spec"])) return false;
  const spec = object["spec"];
  const lists = ["containers", "initContainers", "ephemeralContainers", "volumes"];
  return lists.every((name) => {
    const list = spec[name] ?? [];
    return Array.isArray(list) && list.every((item) => isObject(item));
  });
}

/** The answer to `request`, as the object to be written as JSON. */
export function answer(request: AdmissionRequest, mutation: Mutation): object {
  const response: AdmissionResponse = { uid: request.uid, allowed: true };
  if (mutation.patch.length > 0) {
    response.patchType = "JSONPatch";
    response.patch = Buffer.from(JSON.stringify(mutation.patch)).toString("base64");
  }
  if (mutation.warnings.length > 0) response.warnings = mutation.warnings;
  const audit: Record<string, string> = {};
  if (mutation.skipped) audit["skipped"] = mutation.skipped;
  if (mutation.conflicts.length > 0) audit["conflicts"] = mutation.conflicts.join(",");
  if (Object.keys(audit).length > 0) response.auditAnnotations = audit;
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response };
}
