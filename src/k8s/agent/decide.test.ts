import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { recorded } from "../../../test/k8s/reviews.ts";
import type { Pod } from "../api/objects.ts";
import { DEFAULT_SETTINGS } from "../webhook/selection.ts";
import { decide } from "./decide.ts";
import { isWanted } from "./wanted.ts";

const OPTED_IN = { "lxcfs.io/inject": "enabled" };

function pod(name: string, metadata: object = {}): Pod {
  const { pod: base } = recorded(name);
  return { ...base, metadata: { ...base.metadata, ...metadata } };
}

function files(decision: ReturnType<typeof decide>): string[] {
  const paths = [
    "/proc/meminfo",
    "/proc/slabinfo",
    "/proc/pressure/cpu",
    "/proc/vmstat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
  ];
  return decision.attach ? paths.filter((path) => isWanted(decision.wanted, path)) : [];
}

describe("decision to attach", () => {
  it("goes by the namespace's label, ours or an older one", () => {
    const plain = pod("plain");
    assert.deepEqual(decide(plain, {}, DEFAULT_SETTINGS), { attach: false, why: "not-opted-in" });
    for (const labels of [
      OPTED_IN,
      { "mount-lxcfs": "enabled" },
      { "lxcfs-admission-webhook": "enabled" },
    ])
      assert.equal(decide(plain, labels, DEFAULT_SETTINGS).attach, true);
    const both = { "lxcfs.io/inject": "disabled", "mount-lxcfs": "enabled" };
    assert.equal(decide(plain, both, DEFAULT_SETTINGS).attach, false);
  });

  it("goes by the pod's own label before that", () => {
    const labelled = pod("plain", { labels: OPTED_IN });
    assert.equal(decide(labelled, {}, DEFAULT_SETTINGS).attach, true);
    assert.equal(decide(labelled, {}, { ...DEFAULT_SETTINGS, podOptIn: false }).attach, false);
    for (const name of ["opted-out-label", "opted-out-annotation", "opted-out-older"])
      assert.deepEqual(decide(pod(name), OPTED_IN, DEFAULT_SETTINGS), {
        attach: false,
        why: "opted-out",
      });
  });

  it("leaves alone whom the webhook leaves alone, but not what only admission cannot reach", () => {
    for (const name of ["host-pid", "windows", "kata"])
      assert.equal(decide(pod(name), OPTED_IN, DEFAULT_SETTINGS).attach, false, name);
    assert.equal(decide(pod("mirror"), OPTED_IN, DEFAULT_SETTINGS).attach, true);
    const plain = pod("plain");
    const userns = { ...plain, spec: { ...plain.spec, hostUsers: false } };
    assert.equal(decide(userns, OPTED_IN, DEFAULT_SETTINGS).attach, true);
    assert.equal(
      decide(pod("plain", { namespace: "kube-system" }), OPTED_IN, DEFAULT_SETTINGS).attach,
      false,
    );
  });

  it("refuses a person nothing", () => {
    assert.equal(decide(pod("host-pid"), {}, DEFAULT_SETTINGS, true).attach, true);
  });

  it("gives what the annotation lists, else all but slabinfo", () => {
    assert.deepEqual(files(decide(pod("plain"), OPTED_IN, DEFAULT_SETTINGS)), [
      "/proc/meminfo",
      "/proc/pressure/cpu",
      "/proc/vmstat",
      "/sys/devices/system/cpu",
      "/sys/devices/system/node",
    ]);
    assert.deepEqual(files(decide(pod("few-files"), OPTED_IN, DEFAULT_SETTINGS)), [
      "/proc/meminfo",
    ]);
    const listed = pod("plain", { annotations: { "lxcfs.io/files": "pressure,slabinfo" } });
    assert.deepEqual(files(decide(listed, OPTED_IN, DEFAULT_SETTINGS)), [
      "/proc/slabinfo",
      "/proc/pressure/cpu",
    ]);
  });

  it("passes on whose machine the containers see: their own, unless the pod says otherwise", () => {
    const boundaryOf = (annotations: object) => {
      const decision = decide(pod("plain", { annotations }), OPTED_IN, DEFAULT_SETTINGS);
      return decision.attach && decision.boundary;
    };
    assert.equal(boundaryOf({}), "container");
    assert.equal(boundaryOf({ "lxcfs.io/boundary": "pod" }), "pod");
    assert.equal(boundaryOf({ "lxcfs.io/boundary": "node" }), "container");
  });

  it("passes on which containers are excluded", () => {
    const decision = decide(pod("excluded-container"), OPTED_IN, DEFAULT_SETTINGS);
    assert.ok(decision.attach && decision.excludedContainers.has("exporter"));
  });
});
