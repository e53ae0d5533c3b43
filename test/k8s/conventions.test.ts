/** What operators expect of such a chart, said of its objects, whatever values they are rendered with. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { manifests, renderChart, ROOT, type RenderOptions } from "./chart.ts";
import { GOLDEN } from "./renderings.ts";

interface Container {
  args: string[];
  ports: { name: string; containerPort: number; hostPort?: number }[];
  securityContext: object;
  volumeMounts: { name: string; mountPath: string; mountPropagation?: string }[];
  [probe: string]: unknown;
}

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: {
    replicas: number;
    updateStrategy: object;
    template: {
      spec: {
        [field: string]: unknown;
        containers: [Container];
        volumes: { name: string; hostPath?: { path: string; type: string } }[];
      };
    };
  };
  rules: { resources: string[]; verbs: string[]; apiGroups: string[]; resourceNames?: string[] }[];
  webhooks: {
    namespaceSelector: { matchExpressions: { key: string; operator: string; values: string[] }[] };
    rules: { resources: string[]; operations: string[] }[];
    timeoutSeconds: number;
    matchConditions?: { expression: string }[];
    [field: string]: unknown;
  }[];
}

function objects(options: RenderOptions, kind: string): Manifest[] {
  return parseAllDocuments(manifests(options))
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null)
    .filter((object) => object.kind === kind);
}

function only(options: RenderOptions, kind: string): Manifest {
  const [found, ...others] = objects(options, kind);
  assert.ok(found && others.length === 0, kind);
  return found;
}

describe("conventions", () => {
  it("the agent shares the parent of its mount, never the mount, and is ended last", () => {
    const { spec } = only({}, "DaemonSet");
    const pod = spec.template.spec;
    const [agent] = pod.containers;
    assert.equal(pod["hostPID"], true);
    assert.equal(pod["hostNetwork"], undefined);
    assert.equal(pod["priorityClassName"], "system-node-critical");
    assert.deepEqual(pod["tolerations"], [{ operator: "Exists" }]);
    assert.deepEqual(spec.updateStrategy, {
      type: "RollingUpdate",
      rollingUpdate: { maxUnavailable: 1 },
    });
    const propagated = agent.volumeMounts.filter((m) => m.mountPropagation === "Bidirectional");
    assert.deepEqual(
      propagated.map(({ mountPath }) => mountPath),
      ["/run/lxcfs-ts"],
    );
    for (const { hostPath } of pod.volumes) assert.notEqual(hostPath?.path, "/run/lxcfs-ts/fs");
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"])
      assert.ok(agent[probe], probe);
    // What Kubernetes grants Bidirectional mounts to; the image's files are not to be changed by it.
    assert.deepEqual(agent.securityContext, { privileged: true, readOnlyRootFilesystem: true });
    assert.deepEqual(
      agent.ports.map(({ name, hostPort }) => [name, hostPort]),
      [
        ["metrics", undefined],
        ["health", undefined],
      ],
    );
  });

  it("the webhook is two pods of a user without rights, on a root that cannot be written", () => {
    const { spec } = only({}, "Deployment");
    assert.equal(spec.replicas, 2);
    const pod = spec.template.spec;
    const context = pod["securityContext"] as { runAsNonRoot: boolean; seccompProfile: object };
    assert.equal(context.runAsNonRoot, true);
    assert.deepEqual(context.seccompProfile, { type: "RuntimeDefault" });
    assert.deepEqual(pod.containers[0].securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    assert.ok(only({}, "PodDisruptionBudget"));
  });

  it("no pod waits for the webhook, and those that matter most never ask it", () => {
    const { webhooks } = only({ kubeVersion: "v1.30.0" }, "MutatingWebhookConfiguration");
    for (const webhook of webhooks) {
      assert.equal(webhook["failurePolicy"], "Ignore");
      assert.equal(webhook["sideEffects"], "None");
      assert.equal(webhook["reinvocationPolicy"], "IfNeeded");
      assert.deepEqual(webhook["admissionReviewVersions"], ["v1"]);
      assert.ok(webhook.timeoutSeconds <= 5);
      assert.equal(webhook.matchConditions?.length, 2);
      const skipped = webhook.namespaceSelector.matchExpressions.find(
        ({ key, operator }) => key === "kubernetes.io/metadata.name" && operator === "NotIn",
      );
      for (const name of ["kube-system", "lxcfs"]) assert.ok(skipped?.values.includes(name), name);
      const asked = webhook.rules.map(
        ({ operations, resources }) => `${operations.join()} ${resources.join()}`,
      );
      assert.deepEqual(asked, ["CREATE pods", "UPDATE pods/ephemeralcontainers"]);
    }
  });

  it("no role has a wildcard, and the webhook's name what they are for", () => {
    for (const options of Object.values(GOLDEN))
      for (const kind of ["Role", "ClusterRole"])
        for (const { metadata, rules } of objects(options, kind))
          for (const rule of rules) {
            const words = [...rule.apiGroups, ...rule.resources, ...rule.verbs];
            assert.ok(!words.includes("*"), metadata.name);
            if (metadata.name.endsWith("-webhook")) assert.equal(rule.resourceNames?.length, 1);
          }
  });

  it("the dashboard is JSON that Grafana's sidecar finds, its panels side by side", () => {
    interface Panel {
      title: string;
      gridPos: { x: number; y: number; w: number; h: number };
    }
    for (const mode of ["webhook", "attach"]) {
      const values = { dashboard: { enabled: true }, injection: { mode } };
      const maps = objects({ values }, "ConfigMap");
      const map = maps.find(({ metadata }) => metadata.name === "lxcfs-dashboard") as unknown as {
        metadata: { labels: Record<string, string> };
        data: Record<string, string>;
      };
      assert.equal(map.metadata.labels["grafana_dashboard"], "1");
      const { panels } = JSON.parse(map.data["lxcfs.json"] ?? "") as { panels: Panel[] };
      const places = panels.map(({ gridPos: { x, y } }) => `${x},${y}`);
      assert.deepEqual(places, [...new Set(places)]);
      assert.equal(
        panels.some(({ title }) => title.includes("webhook")),
        mode === "webhook",
      );
    }
  });

  it("the notes tell what to do next in each mode", () => {
    const notes = (mode: string) =>
      renderChart({ values: { injection: { mode } } }).get("NOTES.txt") ?? "";
    for (const mode of ["webhook", "policy", "attach"]) {
      assert.match(notes(mode), new RegExp(`pods get the files by: ${mode}\\.`));
      assert.match(notes(mode), /kubectl label namespace NAMESPACE lxcfs\.io\/inject=enabled/);
    }
    assert.match(notes("none"), /Nothing happens by itself[^]*kubectl lxcfs attach POD/);
    assert.match(notes("auto"), /pod-security\.kubernetes\.io\/enforce=privileged/);
  });
});

describe("the chart's archive", () => {
  it("is what helm makes, and the same bytes each time", () => {
    const dir = mkdtempSync(`${tmpdir()}/lxcfs-chart-`);
    try {
      const build = () => {
        const script = new URL("tools/build-chart.sh", ROOT).pathname;
        const { stdout, stderr } = spawnSync(script, [dir], { encoding: "utf8" });
        assert.equal(stderr, "");
        return readFileSync(stdout.trim());
      };
      const first = build();
      assert.deepEqual(build(), first);
      const { name, version } = parse(
        readFileSync(new URL("chart/Chart.yaml", ROOT), "utf8"),
      ) as Record<string, string>;
      const listed = spawnSync("tar", ["-tzf", `${dir}/${name}-${version}.tgz`], {
        encoding: "utf8",
      });
      for (const file of [
        "Chart.yaml",
        "values.yaml",
        "values.schema.json",
        "templates/policy.yaml",
      ])
        assert.ok(listed.stdout.split("\n").includes(`${name}/${file}`), file);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("kubectl plugin for krew", () => {
  it("is an archive with the one executable, and a manifest that names it", () => {
    const dir = mkdtempSync(`${tmpdir()}/lxcfs-krew-`);
    try {
      const uri = "https://example.com/kubectl-lxcfs.tar.gz";
      const build = new URL("tools/build-krew.sh", ROOT).pathname;
      const built = spawnSync(build, [uri, dir], { encoding: "utf8" });
      assert.equal(built.status, 0, built.stderr);
      const manifest = parse(readFileSync(built.stdout.trim(), "utf8")) as {
        apiVersion: string;
        kind: string;
        metadata: { name: string };
        spec: {
          version: string;
          shortDescription: string;
          platforms: { uri: string; sha256: string; bin: string; files: { from: string }[] }[];
        };
      };
      const { version } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as {
        version: string;
      };
      assert.equal(manifest.apiVersion, "krew.googlecontainertools.github.com/v1alpha2");
      assert.equal(manifest.kind, "Plugin");
      assert.match(manifest.metadata.name, /^[a-z][a-z0-9-]*$/);
      assert.equal(manifest.spec.version, `v${version}`);
      assert.match(manifest.spec.shortDescription, /^[^\n.]{1,60}$/);
      const archive = `${dir}/kubectl-lxcfs.tar.gz`;
      const sha256 = createHash("sha256").update(readFileSync(archive)).digest("hex");
      for (const platform of manifest.spec.platforms) {
        assert.deepEqual([platform.uri, platform.sha256], [uri, sha256]);
        assert.equal(platform.bin, `kubectl-${manifest.metadata.name}`);
        spawnSync("tar", ["-C", dir, "-xzf", archive]);
        for (const { from } of platform.files) assert.ok(existsSync(`${dir}/${from}`), from);
      }
      assert.equal(statSync(`${dir}/bin/kubectl-lxcfs`).mode & 0o111, 0o111);
      const help = spawnSync(`${dir}/bin/kubectl-lxcfs`, ["--help"], { encoding: "utf8" });
      for (const word of ["status", "doctor", "explain", "attach", "detach", "debug"])
        assert.match(help.stdout, new RegExp(`^  ${word} `, "m"));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
