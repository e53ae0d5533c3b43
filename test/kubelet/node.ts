/**
 * A node in the guest: containerd and kubelet as units of systemd, with the systemd cgroup driver.
 * kubelet has no API server; its pods are files. Nothing here blocks: the test answers meanwhile.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { guardWith, type Undo } from "../support/guard.ts";
import { patient } from "../support/wait.ts";
import { AGENT_IMAGE, GUEST_KUBERNETES, POD_IMAGE, SANDBOX_IMAGE } from "./names.ts";

export const NAMESPACE = "shop";
const NODE_NAME = "guest";
/** Where kubelet tells its pods. */
export const KUBELET_PORT = 10_255;

const ASK_MS = 60_000;

const RUN = "/run/lxcfs-kubelet";
const STATIC_PODS = `${RUN}/pods`;
const UNITS = ["lxcfs-test-kubelet", "lxcfs-test-containerd"];
const BIN = `${GUEST_KUBERNETES}/bin`;
const PATH = `${BIN}:${process.env["PATH"]}`;
/** What a runtime's containers are kept by, where runc is asked about them. */
const RUNC_ROOT = "/run/containerd/runc/k8s.io";

const CONTAINERD_CONFIG = `version = 2
disabled_plugins = ["io.containerd.nri.v1.nri"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${SANDBOX_IMAGE}"
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
`;

const KUBELET_CONFIG = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
readOnlyPort: ${KUBELET_PORT}
cgroupDriver: systemd
failSwapOn: false
resolvConf: ""
staticPodPath: ${STATIC_PODS}
fileCheckFrequency: 2s
runtimeRequestTimeout: 10m
evictionHard: {memory.available: 10Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
`;

/** A container of the node. */
export interface NodeContainer {
  readonly id: string;
  readonly podUid: string;
  readonly qosClass: string;
}

interface PodList {
  items: {
    metadata: { name: string; uid: string };
    status: {
      qosClass?: string;
      containerStatuses?: { name: string; containerID?: string; state: { running?: object } }[];
    };
  }[];
}

export class Node {
  readonly #undo: Undo;

  private constructor(undo: Undo) {
    this.#undo = undo;
  }

  /** Resolves when kubelet answers. */
  static async start(): Promise<Node> {
    const undo = guardWith(
      `systemctl stop ${UNITS.join(" ")}; systemctl kill -s KILL kubepods.slice; rm -rf ${RUN}`,
    );
    mkdirSync(STATIC_PODS, { recursive: true });
    writeFileSync(`${RUN}/containerd.toml`, CONTAINERD_CONFIG);
    writeFileSync(`${RUN}/kubelet.yaml`, KUBELET_CONFIG);
    const node = new Node(undo);
    await unit("lxcfs-test-containerd", [
      `${BIN}/containerd`,
      "--config",
      `${RUN}/containerd.toml`,
    ]);
    await node.eventually("containerd answers", () => run(["ctr", "version"]));
    for (const name of ["sandbox", "pod", "agent"])
      await run(["ctr", "-n", "k8s.io", "images", "import", `${GUEST_KUBERNETES}/${name}.tar`]);
    await unit("lxcfs-test-kubelet", [
      `${BIN}/kubelet`,
      ...["--config", `${RUN}/kubelet.yaml`, "--hostname-override", NODE_NAME],
      ...["--container-runtime", "remote"],
      ...["--container-runtime-endpoint", "unix:///run/containerd/containerd.sock"],
    ]);
    await node.eventually("kubelet answers", () => node.pods());
    return node;
  }

  stop(): void {
    this.#undo.run();
  }

  /** @param spec of a pod whose network is the node's: there is no other */
  add(name: string, uid: string, spec: object, metadata: object = {}): void {
    const pod = {
      ...{
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace: NAMESPACE, uid, ...metadata },
      },
      spec: { hostNetwork: true, terminationGracePeriodSeconds: 1, ...spec },
    };
    writeFileSync(`${STATIC_PODS}/${name}.json`, JSON.stringify(pod));
  }

  remove(name: string): void {
    rmSync(`${STATIC_PODS}/${name}.json`);
  }

  /** The chart's agent, as a pod that kubelet runs without being told by an API server. */
  addAgent(account: string, apiPort: number): void {
    const { spec, settings } = JSON.parse(
      readFileSync(`${GUEST_KUBERNETES}/agent.json`, "utf8"),
    ) as { spec: AgentSpec; settings: string };
    mkdirSync(`${RUN}/settings`, { recursive: true });
    writeFileSync(`${RUN}/settings/settings.json`, settings);
    const [container] = spec.containers;
    const secrets = "/var/run/secrets/kubernetes.io/serviceaccount";
    const volumes = spec.volumes.filter(({ name }) => name !== "settings");
    const more: [string, string, string][] = [
      ["settings", `${RUN}/settings`, "/etc/lxcfs"],
      ["account", account, secrets],
      // The image's own, but not packed into it: see test/vm/kubernetes.ts.
      ["usr", `${GUEST_KUBERNETES}/usr`, "/usr"],
    ];
    this.add(
      "lxcfs-agent",
      "0d4c1c3a-3d6a-4c1e-9b57-00000000000a",
      {
        ...spec,
        // Everything takes longer here, the agent's end, too.
        terminationGracePeriodSeconds: 300,
        serviceAccountName: undefined,
        priorityClassName: undefined,
        volumes: [...volumes, ...more.map(([name, path]) => ({ name, hostPath: { path } }))],
        containers: [
          {
            ...container,
            image: AGENT_IMAGE,
            // The first one costs server and agent ten times as much as those after it.
            args: [...container.args, `--attach-timeout=${patient(20)}`],
            // In emulation nothing comes up within its two minutes.
            startupProbe: undefined,
            livenessProbe: undefined,
            env: [
              ...container.env,
              { name: "KUBERNETES_SERVICE_HOST", value: "localhost" },
              { name: "KUBERNETES_SERVICE_PORT", value: String(apiPort) },
            ],
            volumeMounts: [
              ...container.volumeMounts.filter(({ name }) => name !== "settings"),
              ...more.map(([name, , mountPath]) => ({ name, mountPath, readOnly: true })),
            ],
          },
        ],
      },
      { namespace: "lxcfs" },
    );
  }

  /** What kubelet says of its pods. */
  async pods(): Promise<PodList["items"]> {
    return (JSON.parse(await ask(KUBELET_PORT, "/pods")) as Partial<PodList>).items ?? [];
  }

  /** A container that runs. */
  async container(pod: string, name = "app"): Promise<NodeContainer> {
    return await this.eventually(`container ${name} of ${pod} runs`, async () => {
      // kubelet adds the node's name to that of a pod from a file.
      const inFull = `${pod}-${NODE_NAME}`;
      const found = (await this.pods()).find(({ metadata }) => metadata.name === inFull);
      const status = found?.status.containerStatuses?.find((each) => each.name === name);
      if (!found || !status?.state.running) throw new Error(JSON.stringify(found?.status));
      const id = status.containerID?.replace(/^containerd:\/\//, "") ?? "";
      return { id, podUid: found.metadata.uid, qosClass: found.status.qosClass ?? "" };
    });
  }

  /** What a command in a container prints: by runc, as the runtime itself does it. */
  async exec({ id }: NodeContainer, argv: readonly string[]): Promise<string> {
    return await run(["runc", "--root", RUNC_ROOT, "exec", id, ...argv]);
  }

  /** What the runtime does for a resize of kubelet's. */
  async update({ id }: NodeContainer, ...options: string[]): Promise<void> {
    await run(["runc", "--root", RUNC_ROOT, "update", ...options, id]);
  }

  /** The host's number of a container's first process. */
  async pidOf({ id }: NodeContainer): Promise<number> {
    const text = await run(["runc", "--root", RUNC_ROOT, "state", id]);
    return (JSON.parse(text) as { pid: number }).pid;
  }

  /** Tries until it holds. @throws what was thrown last */
  async eventually<T>(what: string, probe: () => Promise<T>, limitMs = 30_000): Promise<T> {
    const untilMs = performance.now() + patient(limitMs);
    for (;;) {
      try {
        return await probe();
      } catch (error) {
        if (performance.now() > untilMs)
          throw new Error(`Timed out: ${what}\n${await report()}`, { cause: error });
        await sleep(1000);
      }
    }
  }
}

/** What there is to read when something has not come about. */
async function report(): Promise<string> {
  const logs = `for file in /var/log/pods/lxcfs_*/agent/*.log; do tail -n 20 "$file"; done`;
  const journal = `journalctl -o cat -n 15 -u ${UNITS[0]}; journalctl -o cat -n 5 -u ${UNITS[1]}`;
  return await run(["sh", "-c", `(${logs}; ${journal}) 2>&1`]).catch(String);
}

interface AgentSpec {
  volumes: { name: string }[];
  containers: [{ args: string[]; env: object[]; volumeMounts: { name: string }[] }];
}

/** A container that sleeps. */
export function sleeper(resources: object, name = "app"): object {
  const command = ["sleep", "1000000"];
  return { name, image: POD_IMAGE, imagePullPolicy: "Never", command, resources };
}

/** Why there is no node here. */
export function whyNoNode(): string | false {
  return existsSync(GUEST_KUBERNETES) ? false : "no kubelet was staged for this machine";
}

async function unit(name: string, command: readonly string[]): Promise<void> {
  const options = ["--property=KillMode=mixed", `--setenv=PATH=${PATH}`, `--unit=${name}`];
  await run(["systemd-run", ...options, ...command]);
}

/**
 * What a port of the node answers. Not by `fetch`, which is dear in emulation.
 * @throws whatever kept it from answering 200
 */
export function ask(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: "127.0.0.1", port, path, timeout: ASK_MS }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("error", reject).on("end", () => {
        if (answer.statusCode === 200) resolve(text);
        else reject(new Error(`${path} of port ${port}: ${answer.statusCode} ${text}`));
      });
    });
    asked.on("timeout", () => asked.destroy(new Error(`${path} of port ${port}: no answer`)));
    asked.on("error", reject);
  });
}

/** What it prints. Never synchronous. */
export async function run([program = "", ...args]: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, {
    env: { ...process.env, PATH },
    maxBuffer: 16 << 20,
  });
  return stdout;
}
