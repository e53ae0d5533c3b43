/**
 * The chart's MutatingAdmissionPolicy against the webhook: the same pods, the same outcome. The CEL
 * is evaluated by a library; what an API server does around it is done here: variables, match
 * conditions, and the merge of an apply configuration (containers and volumes by name, mounts by
 * path). `Object.spec.volumes{...}` is CEL's syntax for typed objects, which the library does not
 * have: the types say nothing about values, so they are written as maps here.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Environment } from "@marcbachmann/cel-js";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import type { Container, Pod, PodSpec, Volume } from "../../src/k8s/api/objects.ts";
import { mutateEphemeral, mutatePod } from "../../src/k8s/webhook/mutate.ts";
import { mutationFor } from "../../src/k8s/webhook/review.ts";
import { DEFAULT_SETTINGS } from "../../src/k8s/webhook/selection.ts";
import { anyPod, applied, recorded, reviewNames } from "./reviews.ts";
import { renderChart } from "./chart.ts";

interface Policy {
  kind: string;
  metadata: { name: string };
  spec: {
    matchConditions: { name: string; expression: string }[];
    variables: { name: string; expression: string }[];
    mutations: { patchType: string; applyConfiguration: { expression: string } }[];
  };
}

const text = renderChart({ kubeVersion: "v1.36.0", values: { injection: { mode: "policy" } } });
const objects = parseAllDocuments(text.get("policy.yaml") ?? "").map((d) => d.toJS() as Policy);
const named = (name: string): Policy => {
  const found = objects.find(
    (o) => o.kind === "MutatingAdmissionPolicy" && o.metadata.name === name,
  );
  if (!found) throw new Error(`The chart renders no policy ${name}`);
  return found;
};

/** `Object.a.b{key: ...}` as `{"key": ...}`: inside such braces every bare word before a colon is a key. */
function asMaps(expression: string): string {
  let result = "";
  const open: boolean[] = [];
  const token = /Object(?:\.\w+)*\{|'[^']*'|"[^"]*"|(?<=[{,]\s*)(\w+):|[{}]|[\s\S]/g;
  for (const match of expression.matchAll(token)) {
    const [found, key] = match;
    if (found.startsWith("Object")) {
      open.push(true);
      result += "{";
    } else if (found === "{") {
      open.push(false);
      result += "{";
    } else if (found === "}") {
      open.pop();
      result += "}";
    } else if (key !== undefined && open.at(-1)) result += `"${key}":`;
    else result += found;
  }
  return result;
}

class Evaluator {
  readonly #policy: Policy;
  readonly #programs = new Map<string, (context: object) => unknown>();

  constructor(policy: Policy) {
    this.#policy = policy;
    const environment = new Environment({
      homogeneousAggregateLiterals: false,
      unlistedVariablesAreDyn: true,
    });
    const { matchConditions, variables, mutations } = policy.spec;
    const expressions = [...matchConditions, ...variables].map(({ expression }) => expression);
    for (const mutation of mutations) expressions.push(mutation.applyConfiguration.expression);
    for (const expression of expressions)
      this.#programs.set(expression, environment.parse(asMaps(expression)));
  }

  /** The pod as the API server would have it after the policy. */
  run(pod: Pod, namespace: string, oldPod: Pod | null = null): Pod {
    const context: Record<string, unknown> = {
      object: pod,
      oldObject: oldPod,
      request: { namespace },
    };
    for (const { expression } of this.#policy.spec.matchConditions)
      if (this.#evaluate(expression, context) !== true) return pod;
    const variables: Record<string, unknown> = {};
    context["variables"] = variables;
    for (const { name, expression } of this.#policy.spec.variables)
      variables[name] = this.#evaluate(expression, context);
    let spec = pod.spec ?? {};
    for (const { patchType, applyConfiguration } of this.#policy.spec.mutations) {
      assert.equal(patchType, "ApplyConfiguration");
      const wanted = this.#evaluate(applyConfiguration.expression, context) as { spec: PodSpec };
      spec = merged(spec, wanted.spec);
    }
    return { ...pod, spec };
  }

  #evaluate(expression: string, context: object): unknown {
    return this.#programs.get(expression)?.(context);
  }
}

/** Structured merge: associative lists by their keys, a scalar that is applied wins. */
function merged(base: PodSpec, over: PodSpec): PodSpec {
  const result: PodSpec = { ...base };
  const volumes = byKey(base.volumes, over.volumes, "name", (a: Volume, b: Volume) => ({
    ...a,
    ...b,
  }));
  if (volumes.length > 0) result.volumes = volumes;
  for (const kind of ["containers", "initContainers", "ephemeralContainers"] as const) {
    const list = byKey(base[kind], over[kind], "name", (a: Container, b: Container) => {
      const mounts = byKey(a.volumeMounts, b.volumeMounts, "mountPath", (x, y) => ({ ...x, ...y }));
      return mounts.length > 0 ? { ...a, volumeMounts: mounts } : a;
    });
    if (list.length > 0) result[kind] = list;
  }
  return result;
}

function byKey<T>(
  base: readonly T[] | null | undefined,
  over: readonly T[] | null | undefined,
  key: keyof T,
  merge: (a: T, b: T) => T,
): T[] {
  const result = [...(base ?? [])];
  for (const item of over ?? []) {
    const at = result.findIndex((old) => old[key] === item[key]);
    if (at < 0) result.push(item);
    else result[at] = merge(result[at] as T, item);
  }
  return result;
}

/** What is compared: mounts by container and path, volumes by name. The policy writes no annotations. */
function shape(pod: Pod): object {
  const sort = <T>(list: readonly T[] | null | undefined, key: keyof T) =>
    [...(list ?? [])].toSorted((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));
  const containers = (list: readonly Container[] | null | undefined) =>
    (list ?? []).map((c) => ({ name: c.name, mounts: sort(c.volumeMounts, "mountPath") }));
  return {
    volumes: sort(pod.spec?.volumes, "name"),
    containers: containers(pod.spec?.containers),
    initContainers: containers(pod.spec?.initContainers),
    ephemeralContainers: containers(pod.spec?.ephemeralContainers),
  };
}

describe("admission policy", () => {
  const policy = new Evaluator(named("lxcfs"));
  const ephemeral = new Evaluator(named("lxcfs-ephemeral"));
  const settings = {
    ...DEFAULT_SETTINGS,
    skipNamespaces: [...DEFAULT_SETTINGS.skipNamespaces, "lxcfs"],
  };

  for (const name of reviewNames()) {
    it(`does to ${name} what the webhook does, and nothing the second time`, () => {
      const { request, pod } = recorded(name);
      const byWebhook = applied(pod, mutationFor(request, settings).patch);
      const byPolicy = policy.run(pod, request.namespace ?? "");
      assert.deepEqual(shape(byPolicy), shape(byWebhook));
      assert.deepEqual(shape(policy.run(byPolicy, request.namespace ?? "")), shape(byPolicy));
    });
  }

  it("knows the reasons to leave a pod alone that old API servers cannot record", () => {
    const { pod } = recorded("plain");
    const variants: [Pod, string][] = [
      [pod, "kube-system"],
      [pod, "lxcfs"],
      [{ ...pod, spec: { ...pod.spec, hostUsers: false } }, "default"],
      [{ ...pod, spec: { ...pod.spec, os: { name: "windows" } } }, "default"],
    ];
    for (const [variant, namespace] of variants) {
      assert.ok(mutatePod(variant, namespace, settings).skipped);
      assert.deepEqual(policy.run(variant, namespace), variant);
    }
  });

  it("agrees with the webhook on any pod", () => {
    fc.assert(
      fc.property(anyPod, (generated) => {
        // Names of containers are unique in a pod, and it has containers.
        const { spec } = generated;
        const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
        fc.pre(new Set(all.map((c) => c.name)).size === all.length);
        const pod: Pod = JSON.parse(
          JSON.stringify(
            { ...generated, spec: { ...spec, containers: spec?.containers ?? [] } },
            dropNull,
          ),
        ) as Pod;
        const byWebhook = applied(pod, mutatePod(pod, "default", settings).patch);
        assert.deepEqual(shape(policy.run(pod, "default")), shape(byWebhook));
      }),
      { numRuns: 500 },
    );
  });

  it("gives ephemeral containers what the webhook gives them", () => {
    const { pod } = recorded("plain");
    const injected = applied(pod, mutatePod(pod, "default", settings).patch);
    for (const base of [pod, injected]) {
      const old: Pod = {
        ...base,
        spec: { ...base.spec, ephemeralContainers: [{ name: "first" }] },
      };
      const now: Pod = {
        ...base,
        spec: { ...base.spec, ephemeralContainers: [{ name: "first" }, { name: "second" }] },
      };
      const byWebhook = applied(now, mutateEphemeral(now, old, "default", settings).patch);
      assert.deepEqual(shape(ephemeral.run(now, "default", old)), shape(byWebhook));
      const first = applied(old, mutateEphemeral(old, base, "default", settings).patch);
      assert.deepEqual(shape(ephemeral.run(old, "default", base)), shape(first));
    }
  });
});

/** The API server's objects have no nulls: what is empty is left out. */
function dropNull(_key: string, value: unknown): unknown {
  return value === null ? undefined : value;
}
