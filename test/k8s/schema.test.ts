/**
 * Every object that the chart renders against the published types of its kind: Kubernetes 1.36's
 * (which knows what the cluster of the end-to-end tests does not: admission policies, match
 * conditions), cert-manager's and the Prometheus operator's. The objects are written into a program
 * as literals, so that the compiler finds fields that do not exist, values of another type, and
 * words that are not among those allowed.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { manifests, ROOT } from "./chart.ts";
import { GOLDEN } from "./renderings.ts";

interface Manifest {
  apiVersion: string;
  kind: string;
}

/** Kinds that no published type is left of: the cluster of the end-to-end tests takes them. */
const GONE: readonly string[] = ["policy/v1beta1 PodDisruptionBudget"];

/** The package that has the types of an API group. */
function moduleOf(apiVersion: string): string {
  if (apiVersion.startsWith("cert-manager.io/"))
    return `@kubernetes-models/cert-manager/${apiVersion}`;
  if (apiVersion.startsWith("monitoring.coreos.com/"))
    return `@kubernetes-models/prometheus-operator/${apiVersion}`;
  return `kubernetes-models/${apiVersion}`;
}

/** What the compiler has to say of the objects; nothing if they are what they say they are. */
function complaints(objects: readonly Manifest[]): string {
  // Below the project: the packages of types have to be found from there.
  const dir = mkdtempSync(new URL("dist/schema-", ROOT).pathname);
  try {
    let text = "";
    for (const [index, object] of objects.entries()) {
      const module = moduleOf(object.apiVersion);
      text += `import type { I${object.kind} as T${index} } from "${module}";\n`;
      text += `export const o${index}: T${index} = ${JSON.stringify(object)};\n`;
    }
    writeFileSync(`${dir}/objects.mts`, text);
    const compiler = new URL("node_modules/.bin/tsc", ROOT).pathname;
    const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext"];
    const { stdout } = spawnSync(
      compiler,
      [...options, "--ignoreConfig", "--types", "", `${dir}/objects.mts`],
      { encoding: "utf8", cwd: dir },
    );
    return stdout;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

describe("the chart's objects", () => {
  it("are what their published types say", (t) => {
    const objects = new Map<string, Manifest>();
    const kinds = new Set<string>();
    for (const options of Object.values(GOLDEN))
      for (const document of parseAllDocuments(manifests(options))) {
        const object = document.toJS() as Manifest | null;
        // A file of comments alone.
        if (object === null) continue;
        const kind = `${object.apiVersion} ${object.kind}`;
        if (GONE.includes(kind)) continue;
        kinds.add(kind);
        objects.set(JSON.stringify(object), object);
      }
    assert.equal(complaints([...objects.values()]), "");
    t.diagnostic(`${objects.size} objects of ${kinds.size} kinds`);
    for (const kind of [
      "admissionregistration.k8s.io/v1 MutatingAdmissionPolicy",
      "admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding",
      "admissionregistration.k8s.io/v1 MutatingWebhookConfiguration",
      "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy",
      "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding",
      "policy/v1 PodDisruptionBudget",
      "cert-manager.io/v1 Certificate",
      "monitoring.coreos.com/v1 PodMonitor",
      "monitoring.coreos.com/v1 PrometheusRule",
    ])
      assert.ok(kinds.has(kind), kind);
  });

  it("would be found out if they were not", () => {
    const policy = {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "MutatingAdmissionPolicy",
    };
    const wrong = [
      { ...policy, spec: { matchCondition: [] } },
      { ...policy, spec: { failurePolicy: "Sometimes" } },
      { ...policy, spec: { variables: [{ name: "a", expression: 1 }] } },
    ];
    assert.equal(complaints(wrong).match(/^\S.*error TS/gm)?.length, wrong.length);
  });
});
