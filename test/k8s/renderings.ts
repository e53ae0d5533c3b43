/** With which values the chart is rendered for what is recorded and checked. */
import type { RenderOptions } from "./chart.ts";

/** Golden files: name -> what they are rendered from. UPDATE_GOLDEN=1 writes them anew. */
export const GOLDEN: Readonly<Record<string, RenderOptions>> = {
  defaults: {},
  "policy-1.36": { kubeVersion: "v1.36.0", values: { validation: { enabled: true } } },
  "old-cluster-1.20": { kubeVersion: "v1.20.2", namespace: "kube-lxcfs", name: "view" },
  "attach-only": {
    values: {
      injection: { mode: "attach" },
      agent: { startupTaint: "lxcfs.io/starting=true:NoSchedule" },
    },
  },
  none: {
    values: {
      injection: { mode: "none" },
      rbac: { create: false },
      serviceAccount: { create: false },
    },
  },
  "cert-manager": { values: { webhook: { certificates: { mode: "cert-manager" } } } },
  "server-on-the-nodes": { values: { agent: { enabled: false }, podMonitor: { enabled: true } } },
  provided: {
    values: {
      webhook: { certificates: { mode: "provided", secretName: "mine", caBundle: "QUJD" } },
    },
  },
  everything: {
    values: {
      fullnameOverride: "lxcfs-everything",
      commonLabels: { team: "platform", cost: "1234" },
      image: { repository: "registry.example.com/lxcfs-ts", digest: `sha256:${"0".repeat(64)}` },
      imagePullSecrets: [{ name: "pull" }],
      logLevel: "debug",
      revisionHistoryLimit: 1,
      injection: { userNamespaces: true, files: ["meminfo", "cpu"], podOptIn: false },
      agent: {
        extraArgs: ["--server-arg=--disable-swap"],
        podAnnotations: { a: "b" },
        podLabels: { c: "off" },
        cleanup: false,
        securityContext: {
          seLinuxOptions: { type: "spc_t" },
          appArmorProfile: { type: "Unconfined" },
        },
        seLinuxMountContext: "system_u:object_r:container_ro_file_t:s0",
      },
      validation: { enabled: true, actions: ["Warn", "Audit"], failurePolicy: "Ignore" },
      webhook: {
        replicas: 3,
        extraArgs: ["--tick-seconds=5"],
        podAnnotations: { a: "b" },
        podLabels: { c: "1.5" },
        tolerations: [{ key: "infra", operator: "Exists" }],
        affinity: { nodeAffinity: {} },
        certificates: { mode: "cert-manager", issuerRef: { name: "corp", kind: "ClusterIssuer" } },
      },
      serviceAccount: { annotations: { "example.com/role": "none" } },
      podMonitor: { enabled: true, labels: { release: "prometheus" } },
      prometheusRule: { enabled: true, labels: { release: "prometheus" } },
      dashboard: { enabled: true, labels: { grafana_dashboard: "yes" } },
      networkPolicy: { enabled: true },
    },
  },
};

/** What `kubectl apply -f` needs, without helm: one file for each way of injecting. */
export const PLAIN: Readonly<Record<string, RenderOptions>> = {
  webhook: { kubeVersion: "v1.30.0", values: { injection: { mode: "webhook" } } },
  policy: { kubeVersion: "v1.36.0", values: { injection: { mode: "policy" } } },
  attach: { kubeVersion: "v1.30.0", values: { injection: { mode: "attach" } } },
};
