import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Resources } from "../api/objects.ts";
import { asksForRequest, cpuPolicyOf } from "./cpu_policy.ts";

function pod(policy: string, resources?: Resources, ofPod?: Resources) {
  return {
    metadata: { annotations: { "lxcfs.io/cpu-policy": policy } },
    spec: {
      containers: [{ name: "other" }],
      initContainers: [{ name: "app", ...(resources ? { resources } : {}) }],
      ...(ofPod ? { resources: ofPod } : {}),
    },
  };
}

describe("CPU policy of a container", () => {
  it("is the annotation's, where that is one", () => {
    for (const policy of ["quota", "cpuset", "none", "cpus=3"])
      assert.equal(cpuPolicyOf(pod(policy), "app"), policy);
    for (const policy of ["", "most", "cpus=0", "cpus=x", "3"])
      assert.equal(cpuPolicyOf(pod(policy), "app"), undefined, policy);
    assert.equal(cpuPolicyOf({}, "app"), undefined);
  });

  it("is what it requests, rounded up to whole CPUs", () => {
    for (const [cpu, expected] of [
      ["100m", "cpus=1"],
      ["1", "cpus=1"],
      ["1001m", "cpus=2"],
      ["2.5", "cpus=3"],
      [".5", "cpus=1"],
      ["3000000u", "cpus=3"],
    ] as const)
      assert.equal(cpuPolicyOf(pod("request", { requests: { cpu } }), "app"), expected, cpu);
    const both = { requests: { cpu: "1" }, limits: { cpu: "4" } };
    assert.equal(cpuPolicyOf(pod("request", both), "app"), "cpus=1");
    assert.equal(cpuPolicyOf(pod("request", { limits: { cpu: "4" } }), "app"), "cpus=4");
  });

  it("is its pod's request where it has none, and nothing where nobody has", () => {
    const request = pod("request", undefined, { requests: { cpu: "2" } });
    assert.ok(asksForRequest(request));
    assert.equal(cpuPolicyOf(request, "app"), "cpus=2");
    assert.equal(cpuPolicyOf(pod("request"), "app"), undefined);
    assert.equal(cpuPolicyOf(pod("request", { requests: { cpu: "1" } }), "other"), undefined);
  });
});
