/**
 * The cluster the end-to-end tests run on: that of KUBECONFIG with the image LXCFS_IMAGE, or a
 * single-node one that is started for them from `../shared/lab/k8s`, if that lies beside the checkout.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import type { ApiAccess } from "../../src/k8s/api/client.ts";
import { guardWith, type Undo } from "../support/guard.ts";
import { ROOT } from "./chart.ts";
import { containerdWithNri } from "./containerd.ts";

const LAB = process.env["K8S_LAB"] ?? new URL("../shared/lab/k8s/", ROOT).pathname;
/** Not the usual port, not the usual cgroup: another cluster may run here. */
const SETTINGS = {
  API_PORT: process.env["API_PORT"] ?? "17443",
  CGROUP_ROOT: process.env["CGROUP_ROOT"] ?? "/lxcfs-k8s-e2e-lab",
};
/** The server's cgroup on the node: not that of an installation which the machine may have besides. */
export const SERVER_CGROUP = "lxcfs-k8s-e2e-server";
const NEEDED = [
  "etcd",
  "containerd",
  "runc",
  "iptables",
  "conntrack",
  "socat",
  "openssl",
  "nsenter",
];

export interface Ran {
  stdout: string;
  stderr: string;
  code: number;
}

/** What only a cluster has whose node is at hand. */
export interface LabNode {
  /** The program that runs a command on the node. */
  run: string;
  /** Directory of the lab, the same on the node. */
  dir: string;
  /** Where kubelet looks for static pods. */
  staticPods: string;
  /** What kubelet's cgroup lies below, in each hierarchy. */
  cgroupRoot: string;
  /** Whether the runtime offers NRI. */
  nri: boolean;
}

/** A cluster, and how to reach it. */
export class Cluster {
  readonly image: string;
  readonly kubectlPath: string;
  /** Absent on a cluster that was given. */
  readonly node: LabNode | undefined;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #undo: Undo | undefined;

  /** Use `start`. */
  private constructor(options: {
    image: string;
    kubectl: string;
    environment: NodeJS.ProcessEnv;
    node?: LabNode;
    undo?: Undo;
  }) {
    this.image = options.image;
    this.kubectlPath = options.kubectl;
    this.#environment = options.environment;
    this.node = options.node;
    this.#undo = options.undo;
  }

  /** @returns a cluster, or the reason why there is none */
  static start(): Cluster | string {
    const given = process.env["KUBECONFIG"];
    const image = process.env["LXCFS_IMAGE"];
    const kubectl = process.env["KUBECTL"] ?? "kubectl";
    if (given && image) return new Cluster({ image, kubectl, environment: process.env });
    if (!existsSync(`${LAB}up.sh`))
      return "no KUBECONFIG with LXCFS_IMAGE, and no lab beside the checkout";
    if (process.getuid?.() !== 0) return "the lab's cluster needs root";
    if (!existsSync("/sys/fs/cgroup/memory/cgroup.procs"))
      return "the lab's cluster needs cgroup v1";
    const missing = NEEDED.filter((name) => !inPath(name));
    if (missing.length > 0) return `the lab's cluster needs ${missing.join(", ")}`;
    return Cluster.#startLab();
  }

  static #startLab(): Cluster {
    const dir = mkdtempSync(`${tmpdir()}/lxcfs-k8s-e2e-`);
    const staticPods = `${dir}/static-pods`;
    mkdirSync(staticPods);
    const bin = process.env["KUBE_BIN"] ?? `${dir}/bin`;
    const path = containerdWithNri(`${dir}/runtime`);
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      ...SETTINGS,
      ...{ KUBE_BIN: bin, LAB_DIR: dir, LAB },
      PATH: `${path === undefined ? "" : `${path}:`}${process.env["PATH"]}`,
      KUBELET_ARGS: `--pod-manifest-path=${staticPods}`,
    };
    const settings = Object.entries(SETTINGS).map(([name, value]) => `${name}='${value}'`);
    const undo = guardWith(
      `${settings.join(" ")} KUBE_BIN='${bin}' '${LAB}down.sh' '${dir}' --purge; rm -rf '${dir}'; rmdir /sys/fs/cgroup/*/${SERVER_CGROUP}`,
    );
    try {
      if (!existsSync(`${bin}/kubelet`)) {
        mkdirSync(bin, { recursive: true });
        execFileSync("tar", ["-C", bin, "-xf", `${LAB}kube-bin.tar.xz`]);
      }
      const output = execFileSync(`${LAB}up.sh`, [dir], {
        env: environment,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
      return new Cluster({
        image: "lxcfs-ts:e2e",
        kubectl: `${bin}/kubectl`,
        environment: { ...environment, KUBECONFIG: output.trim().split("\n").at(-1) ?? "" },
        node: {
          ...{ dir, staticPods, cgroupRoot: SETTINGS.CGROUP_ROOT, nri: path !== undefined },
          run: `${dir}/node`,
        },
        undo,
      });
    } catch (error) {
      undo.run();
      throw error;
    }
  }

  /** Where the API server is, by the administrator's kubeconfig; for a client of our own. */
  get server(): Pick<ApiAccess, "server" | "ca"> {
    const path = this.#environment["KUBECONFIG"] ?? "";
    const config = parse(readFileSync(path, "utf8")) as {
      clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    };
    const { server = "", "certificate-authority-data": ca = "" } =
      config.clusters[0]?.cluster ?? {};
    return { server, ca: () => Buffer.from(ca, "base64").toString() };
  }

  /** Starts again what has ended of the cluster. */
  async mend(): Promise<void> {
    if (this.node) await this.run(`${LAB}up.sh`, [this.node.dir]);
  }

  /** Puts this checkout's image into the cluster under `name`; only where there is a node to put it on. */
  async makeImage(name: string, env: Record<string, string> = {}): Promise<void> {
    if (!this.node) return;
    await this.run(new URL("test/k8s/image.sh", ROOT).pathname, [name], { env });
  }

  /** The lab's own images by their short names. */
  async labImage(name: string): Promise<void> {
    if (this.node !== undefined) await this.run(`${LAB}image.sh`, [name]);
  }

  /** An image of one layer, which is `root`. */
  async imageOf(name: string, root: string): Promise<void> {
    if (this.node) await this.run(`${LAB}image.sh`, ["dir", name, root]);
  }

  /** Never synchronous, never throws: a test says what code it expects. */
  run(
    program: string,
    args: readonly string[],
    options: { input?: string; env?: Record<string, string> } = {},
  ): Promise<Ran> {
    return new Promise((resolve) => {
      const child = execFile(
        program,
        args,
        { env: { ...this.#environment, ...options.env }, maxBuffer: 64 << 20 },
        (error, stdout, stderr) => {
          const code = typeof error?.code === "number" ? error.code : error ? 1 : 0;
          resolve({ stdout, stderr, code });
        },
      );
      // A program that ends without reading is no error of its own.
      child.stdin?.on("error", () => undefined).end(options.input ?? "");
    });
  }

  /** kubectl, whose failure is the test's. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const ran = await this.run(this.kubectlPath, args, input === undefined ? {} : { input });
    if (ran.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${ran.stderr}`);
    return ran.stdout;
  }

  /** A command in a pod's container. */
  exec(namespace: string, pod: string, container: string, command: string): Promise<string> {
    return this.kubectl(["-n", namespace, "exec", pod, "-c", container, "--", "sh", "-c", command]);
  }

  /** A command on the node. */
  async onNode(command: string): Promise<string> {
    const { stdout } = await this.run(this.node?.run ?? "", ["sh", "-c", command]);
    return stdout;
  }

  stop(): void {
    this.#undo?.run();
  }
}

function inPath(name: string): boolean {
  return (process.env["PATH"] ?? "").split(":").some((dir) => existsSync(`${dir}/${name}`));
}

/** Tries until it holds. @throws what was thrown last */
export async function eventually<T>(what: () => Promise<T>, seconds = 60): Promise<T> {
  const untilMs = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (performance.now() > untilMs) throw error;
      await sleep(300);
    }
  }
}
