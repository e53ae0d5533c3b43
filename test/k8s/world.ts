/** The cluster as the end-to-end steps use it: namespaces, pods, an installation of the chart. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { manifests, merge, ROOT, type Values } from "./chart.ts";
import { Cluster, eventually, SERVER_CGROUP, type Ran } from "./cluster.ts";

/** Where the chart is installed. */
export const NAMESPACE = "lxcfs";
/** Opted in; not opted in; opted in, and refusing hostPath volumes. */
export const APPS = "lxcfs-e2e-apps";
export const PLAIN = "lxcfs-e2e-plain";
export const RESTRICTED = "lxcfs-e2e-restricted";

/** What the containers of these tests are limited to, where nothing else is said. */
export const MEMORY_KB: number = 192 * 1024;

const NAMESPACES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  [NAMESPACE, {}],
  [APPS, { "lxcfs.io/inject": "enabled" }],
  [PLAIN, {}],
  [
    RESTRICTED,
    { "lxcfs.io/inject": "enabled", "pod-security.kubernetes.io/enforce": "restricted" },
  ],
];

const AGENT = "app.kubernetes.io/component=agent,app.kubernetes.io/instance=lxcfs";

export interface ContainerOptions {
  memory?: string;
  command?: string;
  image?: string;
  resources?: object;
  [field: string]: unknown;
}

export class World {
  readonly cluster: Cluster;
  /** The image of pods: with a shell, free and top. */
  readonly podImage: string;
  /** The tag of this project's image that is installed now. */
  tag: string | undefined;
  /** What was installed last. */
  manifests = "";

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    this.podImage = cluster.node
      ? "debian-procps:lab"
      : (process.env["LXCFS_POD_IMAGE"] ?? cluster.image);
  }

  /** @returns why there is none */
  static start(): World | string {
    const cluster = Cluster.start();
    return typeof cluster === "string" ? cluster : new World(cluster);
  }

  async prepare(): Promise<void> {
    const { cluster } = this;
    await Promise.all([cluster.labImage("debian-procps"), cluster.makeImage(cluster.image)]);
    for (const [name, labels] of NAMESPACES)
      await this.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }

  /** @param others namespaces that steps have made */
  async end(others: readonly string[]): Promise<void> {
    const names = [...NAMESPACES.map(([name]) => name), ...others];
    if (!this.cluster.node)
      await this.cluster.run(this.cluster.kubectlPath, [
        ...["delete", "namespace", ...names],
        ...["--wait=false", "--ignore-not-found"],
      ]);
    this.cluster.stop();
  }

  container(name: string, options: ContainerOptions = {}): object {
    const { memory = "192Mi", command = "exec sleep 1000000", image, ...rest } = options;
    return {
      name,
      image: image ?? this.podImage,
      imagePullPolicy: "IfNotPresent",
      command: ["sh", "-c", command],
      resources: { limits: { memory, cpu: "1" }, requests: { memory: "16Mi", cpu: "10m" } },
      ...rest,
    };
  }

  pod(name: string, metadata: object = {}, spec: object = {}): object {
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, ...metadata },
      spec: { terminationGracePeriodSeconds: 1, containers: [this.container("app")], ...spec },
    };
  }

  async create(namespace: string, ...objects: object[]): Promise<void> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    await this.cluster.kubectl(["-n", namespace, "create", "-f", "-"], list);
  }

  async apply(...objects: object[]): Promise<void> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    await this.cluster.kubectl(["apply", "-f", "-"], list);
  }

  /** The object as the API server would store it. */
  async dryRun(namespace: string, object: object): Promise<string> {
    const args = ["-n", namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
    return await this.cluster.kubectl(args, JSON.stringify(object));
  }

  async ready(namespace: string, ...pods: string[]): Promise<void> {
    const names = pods.map((name) => `pod/${name}`);
    await this.cluster.kubectl([
      ...["-n", namespace, "wait", "--for=condition=Ready", "--timeout=120s"],
      ...names,
    ]);
  }

  /** What a command prints in a container. */
  see(namespace: string, pod: string, command: string, container = "app"): Promise<string> {
    return this.cluster.exec(namespace, pod, container, command);
  }

  /** MemTotal in kB, as a container's own `free` says it. */
  async total(namespace: string, pod: string, container = "app"): Promise<number> {
    const text = await this.see(namespace, pod, "free -k", container);
    return Number(/^Mem:\s+(\d+)/m.exec(text)?.[1]);
  }

  /** One field of an object, by JSONPath. */
  field(namespace: string, object: string, path: string): Promise<string> {
    return this.cluster.kubectl(["-n", namespace, "get", object, "-o", `jsonpath={${path}}`]);
  }

  /** What `field` says of several objects, by words. */
  async list(namespace: string, ...args: string[]): Promise<string[]> {
    const text = await this.cluster.kubectl(["-n", namespace, "get", ...args]);
    return text.split(/\s+/).filter((word) => word !== "");
  }

  /** The first agent's pod. */
  async agentPod(): Promise<string> {
    return (await this.list(NAMESPACE, "pods", "-l", AGENT, "-o", "name"))[0] ?? "";
  }

  async deleteAgentPods(): Promise<void> {
    await this.cluster.kubectl(["-n", NAMESPACE, "delete", "pod", "-l", AGENT, "--wait=false"]);
  }

  /** The chart with `values`, as `helm template` would have it. */
  async render(values: Values = {}, name = "lxcfs", namespace = NAMESPACE): Promise<string> {
    const version = JSON.parse(await this.cluster.kubectl(["get", "--raw", "/version"])) as {
      gitVersion: string;
    };
    const [repository = "", tag = ""] = this.cluster.image.split(/:(?=[^:/]*$)/);
    const basics: Values = {
      image: { repository, tag: this.tag ?? tag },
      agent: {
        attach: "watch",
        startupTaint: this.cluster.node ? TAINT : "",
        extraArgs: [`--cgroup=${SERVER_CGROUP}`],
      },
      webhook: { extraArgs: ["--tick-seconds=1", "--drain-seconds=3"] },
    };
    const kubeVersion = version.gitVersion;
    return manifests({ name, namespace, kubeVersion, values: merge(basics, values) });
  }

  async install(values: Values = {}): Promise<void> {
    this.manifests = await this.render(values);
    await this.cluster.kubectl(["apply", "-f", "-"], this.manifests);
  }

  async agentRolledOut(): Promise<void> {
    await this.rolledOut("daemonset/lxcfs-agent");
  }

  async webhookRolledOut(): Promise<void> {
    await this.rolledOut("deployment/lxcfs-webhook");
  }

  async rolledOut(object: string, namespace = NAMESPACE): Promise<void> {
    await this.cluster.kubectl([
      ...["-n", namespace, "rollout", "status", object, "--timeout=150s"],
    ]);
  }

  plugin(...args: string[]): Promise<Ran> {
    const program = new URL("bin/kubectl-lxcfs", ROOT).pathname;
    return this.cluster.run(program, args, { env: { KUBECTL: this.cluster.kubectlPath } });
  }

  /** The plugin, which succeeds. */
  async pluginSays(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.plugin(...args);
    assert.equal(code, 0, `kubectl lxcfs ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Waits until a container sees this much memory. */
  async sees(
    namespace: string,
    pod: string,
    kilobytes: number,
    container = "app",
    seconds = 30,
  ): Promise<void> {
    try {
      await eventually(
        async () => assert.equal(await this.total(namespace, pod, container), kilobytes),
        seconds,
      );
    } catch (cause) {
      // Whether its files are not there, or say the wrong thing.
      const what = "grep lxcfs /proc/self/mountinfo; cat /proc/self/cgroup; head -1 /proc/meminfo";
      const found = await this.see(namespace, pod, what, container).catch(String);
      throw new Error(`${namespace}/${pod} does not see ${kilobytes} kB:\n${found}`, { cause });
    }
  }

  /** A container of a pod: its id, and the cgroups of both on the node, as cgroupfs names them. */
  async cgroupsOf(namespace: string, pod: string, container = "app") {
    const path = `.status.containerStatuses[?(@.name=='${container}')].containerID`;
    const [uid, id, quality] = await Promise.all([
      this.field(namespace, `pod/${pod}`, ".metadata.uid"),
      this.field(namespace, `pod/${pod}`, path),
      this.field(namespace, `pod/${pod}`, ".status.qosClass"),
    ]);
    const level = quality === "Guaranteed" ? "" : `${quality.toLowerCase()}/`;
    const below = `${this.cluster.node?.cgroupRoot}/kubepods/${level}pod${uid}`;
    const short = id.replace(/^\w+:\/\//, "");
    return { id: short, ofPod: below, ofContainer: `${below}/${short}` };
  }
}

/** Nodes of the lab are registered with it; the agent takes it away. */
export const TAINT = "lxcfs.io/starting=true:NoSchedule";

/** Waits for what is not to happen. */
export async function aMoment(): Promise<void> {
  await sleep(1000);
}
