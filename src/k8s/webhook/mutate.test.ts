import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Pod } from "../api/objects.ts";
import { DEFAULT_FILES, SERVED_FILES, STATUS } from "../names.ts";
import { mutateEphemeral, mutatePod } from "./mutate.ts";
import { mutationFor } from "./review.ts";
import type { SkipReason } from "./selection.ts";
import { DEFAULT_SETTINGS } from "./selection.ts";
import { anyPod, applied, recorded, reviewNames } from "../../../test/k8s/reviews.ts";

const ALL = [
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/loadavg",
  "/proc/meminfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/uptime",
  "/sys/devices/system/cpu",
];
const without = (...paths: string[]) => ALL.filter((path) => !paths.includes(path));

/** What our volumes are mounted over, by container. */
function ours(pod: Pod): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  const { initContainers, containers, ephemeralContainers } = pod.spec ?? {};
  for (const list of [initContainers, containers, ephemeralContainers]) {
    for (const container of list ?? []) {
      found[container.name] = (container.volumeMounts ?? [])
        .filter(({ name }) =>
          pod.spec?.volumes?.some(
            (volume) =>
              volume.name === name && volume.hostPath?.path.startsWith("/run/lxcfs-ts/fs/"),
          ),
        )
        .map((mount) => mount.mountPath);
    }
  }
  return found;
}

interface Expected {
  mounts?: Record<string, string[]>;
  skipped?: SkipReason;
  conflicts?: string[];
  warnings?: number;
}

/** One line for each recorded review: what a reader of pods.yaml would expect. */
const EXPECTED: Record<string, Expected> = {
  plain: { mounts: { app: ALL } },
  "init-and-two": { mounts: { migrate: ALL, proxy: ALL, app: ALL, sidecar: ALL } },
  "no-token": { mounts: { app: ALL } },
  restricted: { mounts: { app: ALL } },
  "shared-pids": { mounts: { app: ALL, helper: ALL } },
  "host-network": { mounts: { app: ALL } },
  crun: { mounts: { app: ALL } },
  "own-label-beats-older": { mounts: { app: ALL } },
  "of-a-deployment": { mounts: { app: ALL } },
  "of-a-job": { mounts: { app: ALL } },
  "few-files": { mounts: { app: ["/proc/meminfo", "/proc/cpuinfo"] } },
  "wrong-wishes": { mounts: { app: ["/proc/meminfo"] }, warnings: 3 },
  "excluded-container": { mounts: { app: ALL, exporter: [] } },
  "older-admission-webhook": {
    mounts: { app: without("/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu") },
    conflicts: ["app:/proc/cpuinfo", "app:/proc/meminfo", "app:/sys/devices/system/cpu/online"],
  },
  conflicts: {
    // The volume name lxcfs-uptime is the pod's own: uptime cannot be had at all.
    mounts: { monitor: ["/sys/devices/system/cpu"], app: without("/proc/uptime") },
    conflicts: Array.from({ length: 6 }, () => "monitor:/proc/"),
  },
  "host-pid": { skipped: "host-pid" },
  windows: { skipped: "windows" },
  kata: { skipped: "runtime-class" },
  "opted-out-label": { skipped: "opted-out" },
  "opted-out-annotation": { skipped: "opted-out" },
  "opted-out-older": { skipped: "opted-out" },
  "no-files": { skipped: "no-files" },
  mirror: { skipped: "mirror-pod" },
};

describe("mutation of recorded reviews", () => {
  it("has an expectation for every one", () => {
    assert.deepEqual(reviewNames().toSorted(), Object.keys(EXPECTED).toSorted());
  });
  for (const [name, expected] of Object.entries(EXPECTED)) {
    it(name, () => {
      const { request, pod } = recorded(name);
      const mutation = mutationFor(request, DEFAULT_SETTINGS);
      const result = applied(pod, mutation.patch);
      assert.equal(mutation.skipped, expected.skipped);
      assert.equal(mutation.warnings.length, expected.warnings ?? 0);
      assert.deepEqual(mutation.conflicts, expected.conflicts ?? []);
      if (expected.mounts) assert.deepEqual(ours(result), expected.mounts);
      else assert.deepEqual(result, pod);
      assert.equal(result.metadata?.annotations?.[STATUS], expected.mounts && "injected");
      assert.deepEqual(mutationFor({ ...request, object: result }, DEFAULT_SETTINGS).patch, []);
    });
  }
});

describe("mutation", () => {
  const { request, pod } = recorded("plain");

  it("mounts read-only, from the node's mount, waiting for what is absent", () => {
    const result = applied(pod, mutatePod(pod, "default", DEFAULT_SETTINGS).patch);
    const meminfo = result.spec?.volumes?.find((volume) => volume.name === "lxcfs-meminfo");
    assert.deepEqual(meminfo?.hostPath, { path: "/run/lxcfs-ts/fs/proc/meminfo", type: "File" });
    const cpu = result.spec?.volumes?.find((volume) => volume.name === "lxcfs-cpu");
    assert.equal(cpu?.hostPath?.type, "Directory");
    const mounts = result.spec?.containers?.[0]?.volumeMounts ?? [];
    assert.equal(mounts.filter((m) => m.name.startsWith("lxcfs-") && m.readOnly).length, 8);
  });

  it("goes by the request's namespace: a template's pod has none yet", () => {
    const { namespace: _, ...metadata } = pod.metadata ?? {};
    const object = { ...pod, metadata };
    const inSystem = { ...request, object, namespace: "kube-system" };
    assert.equal(mutationFor(inSystem, DEFAULT_SETTINGS).skipped, "namespace");
  });

  it("leaves pods in user namespaces alone unless told that FUSE can do them", () => {
    const userns = { ...pod, spec: { ...pod.spec, hostUsers: false } };
    assert.equal(mutatePod(userns, "default", DEFAULT_SETTINGS).skipped, "user-namespace");
    const settings = { ...DEFAULT_SETTINGS, userNamespaces: true };
    assert.notEqual(mutatePod(userns, "default", settings).patch.length, 0);
  });

  it("leaves pods alone that say they are for Windows", () => {
    const windows = { ...pod, spec: { ...pod.spec, os: { name: "windows" } } };
    assert.equal(mutatePod(windows, "default", DEFAULT_SETTINGS).skipped, "windows");
  });

  it("reaches native sidecars, which are init containers that stay", () => {
    const sidecar = { name: "mesh", restartPolicy: "Always" };
    const native = { ...pod, spec: { ...pod.spec, initContainers: [sidecar] } };
    const result = applied(native, mutatePod(native, "default", DEFAULT_SETTINGS).patch);
    assert.deepEqual(ours(result), { mesh: ALL, app: ALL });
  });

  it("answers nothing to what is no creation of a pod", () => {
    for (const other of [
      { ...request, operation: "UPDATE" },
      { ...request, operation: "DELETE", object: null },
      { ...request, subResource: "exec" },
      { ...request, kind: { ...request.kind, kind: "PodExecOptions" } },
      { ...request, object: { spec: { containers: "no list" } } as unknown as Pod },
    ])
      assert.deepEqual(mutationFor(other, DEFAULT_SETTINGS).patch, []);
  });
});

describe("ephemeral containers", () => {
  const { request, pod } = recorded("plain");
  const injected = applied(pod, mutatePod(pod, "default", DEFAULT_SETTINGS).patch);
  const debugging = (base: Pod, ...names: string[]): Pod => ({
    ...base,
    spec: { ...base.spec, ephemeralContainers: names.map((name) => ({ name })) },
  });

  it("get what the pod has volumes for", () => {
    const object = debugging(injected, "debugger");
    const mutation = mutationFor(
      { ...request, operation: "UPDATE", subResource: "ephemeralcontainers", object },
      DEFAULT_SETTINGS,
    );
    assert.deepEqual(ours(applied(object, mutation.patch))["debugger"], ALL);
    assert.ok(mutation.patch.every(({ path }) => path.startsWith("/spec/ephemeralContainers/")));
  });

  it("get nothing in a pod without our volumes", () => {
    const object = debugging(pod, "debugger");
    assert.deepEqual(mutateEphemeral(object, pod, "default", DEFAULT_SETTINGS).patch, []);
  });

  it("that run already are not touched: the API server refuses any change to them", () => {
    const old = debugging(injected, "first");
    const object = debugging(injected, "first", "second");
    const { patch } = mutateEphemeral(object, old, "default", DEFAULT_SETTINGS);
    assert.deepEqual(
      [...new Set(patch.map(({ path }) => path))],
      ["/spec/ephemeralContainers/1/volumeMounts"],
    );
  });
});

describe("mutation of any pod", () => {
  it("applies, is idempotent, takes nothing away, and makes no path twice", () => {
    fc.assert(
      fc.property(anyPod, (pod) => {
        const { patch } = mutatePod(pod, "default", DEFAULT_SETTINGS);
        const result = applied(pod, patch);
        const again = mutatePod(result, "default", DEFAULT_SETTINGS).patch;
        assert.deepEqual(again, []);
        for (const kind of ["containers", "initContainers"] as const) {
          for (const [index, before] of (pod.spec?.[kind] ?? []).entries()) {
            const after = result.spec?.[kind]?.[index];
            const old = before.volumeMounts ?? [];
            assert.deepEqual(after?.volumeMounts?.slice(0, old.length) ?? [], old);
            const paths = after?.volumeMounts?.map((mount) => mount.mountPath) ?? [];
            assert.equal(new Set(paths).size, paths.length);
            const names = new Set(result.spec?.volumes?.map((volume) => volume.name));
            for (const mount of after?.volumeMounts?.slice(old.length) ?? [])
              assert.ok(names.has(mount.name), `volume ${mount.name} is there`);
          }
        }
        const names = result.spec?.volumes?.map((volume) => volume.name) ?? [];
        assert.equal(new Set(names).size, names.length);
        const old = pod.spec?.volumes ?? [];
        assert.deepEqual(result.spec?.volumes?.slice(0, old.length) ?? [], old);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("names", () => {
  it("defaults are served", () => {
    for (const file of DEFAULT_FILES) assert.ok(SERVED_FILES.has(file), file);
  });
});
