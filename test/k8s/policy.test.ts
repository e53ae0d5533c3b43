/**
 * The chart's MutatingAdmissionPolicy against the webhook: the same pods, the same outcome. What an API
 * server does with what the CEL comes to is done here: the merge of an apply configuration (containers
 * and volumes by name, mounts by path).
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Container, Pod, PodSpec, Volume } from "../../src/k8s/api/objects.ts";
import { mutateEphemeral, mutatePod } from "../../src/k8s/webhook/mutate.ts";
import { mutationFor } from "../../src/k8s/webhook/review.ts";
import { DEFAULT_SETTINGS } from "../../src/k8s/webhook/selection.ts";
import { anyPod, applied, recorded, reviewNames } from "./reviews.ts";
import { type Params, type Policy, PolicyEvaluator, renderedPolicies } from "./cel.ts";

/** The pod as the API server would have it after the policy. */
function runPolicy(
  evaluator: PolicyEvaluator,
  pod: Pod,
  namespace: string,
  oldPod: Pod | null = null,
): Pod {
  const request = { namespace, operation: oldPod ? "UPDATE" : "CREATE" } as const;
  const evaluate = evaluator.on({ object: pod, oldObject: oldPod, request });
  if (!evaluate) return pod;
  let spec = pod.spec ?? {};
  for (const { patchType, applyConfiguration } of evaluator.policy.spec.mutations ?? []) {
    assert.equal(patchType, "ApplyConfiguration");
    spec = merged(spec, (evaluate(applyConfiguration.expression) as { spec: PodSpec }).spec);
  }
  return { ...pod, spec };
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
  const rendered = renderedPolicies({ injection: { mode: "policy" } });
  const params = rendered("ConfigMap", "lxcfs") as unknown as Params;
  const named = (name: string, given = params) => {
    const evaluator = new PolicyEvaluator(rendered("MutatingAdmissionPolicy", name), given);
    return (pod: Pod, namespace: string, oldPod: Pod | null = null) =>
      runPolicy(evaluator, pod, namespace, oldPod);
  };
  const policy = named("lxcfs");
  const ephemeral = named("lxcfs-ephemeral");
  const settings = {
    ...DEFAULT_SETTINGS,
    skipNamespaces: [...DEFAULT_SETTINGS.skipNamespaces, "lxcfs"],
  };

  for (const name of reviewNames()) {
    it(`does to ${name} what the webhook does, and nothing the second time`, () => {
      const { request, pod } = recorded(name);
      const byWebhook = applied(pod, mutationFor(request, settings).patch);
      const byPolicy = policy(pod, request.namespace ?? "");
      assert.deepEqual(shape(byPolicy), shape(byWebhook));
      assert.deepEqual(shape(policy(byPolicy, request.namespace ?? "")), shape(byPolicy));
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
      assert.deepEqual(policy(variant, namespace), variant);
    }
  });

  it("goes by its ConfigMap as it is now, as the webhook by its settings", () => {
    const { pod } = recorded("plain");
    const data = { ...params.data, files: "meminfo, uptime", skipRuntimeClasses: "slow*, odd" };
    const changed = named("lxcfs", { data });
    const others = {
      ...settings,
      files: ["meminfo", "uptime"],
      skipRuntimeClasses: ["slow*", "odd"],
    };
    for (const runtimeClassName of ["slow-one", "odd", "odder", "kata"]) {
      const variant = { ...pod, spec: { ...pod.spec, runtimeClassName } };
      const byWebhook = applied(variant, mutatePod(variant, "default", others).patch);
      assert.deepEqual(shape(changed(variant, "default")), shape(byWebhook), runtimeClassName);
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
        assert.deepEqual(shape(policy(pod, "default")), shape(byWebhook));
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
      assert.deepEqual(shape(ephemeral(now, "default", old)), shape(byWebhook));
      const first = applied(old, mutateEphemeral(old, base, "default", settings).patch);
      assert.deepEqual(shape(ephemeral(old, "default", base)), shape(first));
    }
  });
});

describe("the webhook's match conditions", () => {
  const { webhooks } = renderedPolicies({ injection: { mode: "webhook" } })(
    "MutatingWebhookConfiguration",
    "lxcfs-webhook",
  ) as unknown as { webhooks: { matchConditions: { name: string; expression: string }[] }[] };

  it("keep from it none but pods that it leaves alone", () => {
    const { pod } = recorded("plain");
    const variants: [object, boolean][] = [
      [{}, true],
      [{ hostPID: false, os: { name: "linux" } }, true],
      [{ hostPID: true }, false],
      [{ os: { name: "windows" } }, false],
    ];
    for (const { matchConditions } of webhooks) {
      const conditions = { spec: { matchConditions, variables: [] } } as unknown as Policy;
      const evaluator = new PolicyEvaluator(conditions);
      for (const [spec, asked] of variants) {
        const variant: Pod = { ...pod, spec: { ...pod.spec, ...spec } };
        const request = { namespace: "default", operation: "CREATE" } as const;
        assert.equal(evaluator.on({ object: variant, request }) !== undefined, asked);
        if (!asked) assert.ok(mutatePod(variant, "default", DEFAULT_SETTINGS).skipped);
      }
    }
  });
});

/** The API server's objects have no nulls: what is empty is left out. */
function dropNull(_key: string, value: unknown): unknown {
  return value === null ? undefined : value;
}
