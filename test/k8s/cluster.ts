/**
 * The cluster the end-to-end tests run on: that of KUBECONFIG with the image LXCFS_IMAGE, or a
 * single-node one that is started for them from `../shared/lab/k8s`, if that lies beside the checkout.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "./chart.ts";

const LAB = new URL("../shared/lab/k8s/", ROOT).pathname;
/** Not the usual port, not the usual cgroup: another cluster may run here. */
const SETTINGS = { API_PORT: "17443", CGROUP_ROOT: "/lxcfs-k8s-e2e-lab" };
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

/** A cluster, and how to reach it. */
export class Cluster {
  readonly image: string;
  /** Runs a command on the node; absent on a cluster that was given. */
  readonly node: string | undefined;
  readonly kubectlPath: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #dir: string | undefined;
  readonly #bin: string | undefined;

  /** Use `start`. */
  private constructor(options: {
    image: string;
    kubectl: string;
    environment: NodeJS.ProcessEnv;
    dir?: string;
    bin?: string;
  }) {
    this.image = options.image;
    this.kubectlPath = options.kubectl;
    this.#environment = options.environment;
    this.#dir = options.dir;
    this.#bin = options.bin;
    this.node = options.dir === undefined ? undefined : `${options.dir}/node`;
  }

  /** @returns a cluster, or the reason why there is none */
  static start(): Cluster | string {
    const given = process.env["KUBECONFIG"];
    const image = process.env["LXCFS_IMAGE"];
    if (given && image) return new Cluster({ image, kubectl: "kubectl", environment: process.env });
    if (!existsSync(`${LAB}up.sh`))
      return "no KUBECONFIG with LXCFS_IMAGE, and no lab beside the checkout";
    if (process.getuid?.() !== 0) return "the lab's cluster needs root";
    if (!existsSync("/sys/fs/cgroup/memory/cgroup.procs"))
      return "the lab's cluster needs cgroup v1";
    const missing = NEEDED.filter((name) => !inPath(name));
    if (missing.length > 0) return `the lab's cluster needs ${missing.join(", ")}`;
    const dir = mkdtempSync(`${tmpdir()}/lxcfs-k8s-e2e-`);
    const bin = process.env["KUBE_BIN"] ?? `${dir}-bin`;
    if (!existsSync(`${bin}/kubelet`)) {
      execFileSync("mkdir", ["-p", bin]);
      execFileSync("tar", ["-C", bin, "-xf", `${LAB}kube-bin.tar.xz`]);
    }
    const environment = { ...process.env, ...SETTINGS, KUBE_BIN: bin, LAB_DIR: dir, LAB };
    // Ended from outside, the tests' own end is never reached.
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
      process.once(signal, () => {
        execFileSync(`${LAB}down.sh`, [dir, "--purge"], { env: environment, stdio: "ignore" });
        process.exit(1);
      });
    const output = execFileSync(`${LAB}up.sh`, [dir], {
      env: environment,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const kubeconfig = output.trim().split("\n").at(-1) ?? "";
    return new Cluster({
      image: "lxcfs-ts:e2e",
      kubectl: `${bin}/kubectl`,
      environment: { ...environment, KUBECONFIG: kubeconfig },
      dir,
      ...(process.env["KUBE_BIN"] ? {} : { bin }),
    });
  }

  /** Puts this checkout's image into the cluster under `name`; only where there is a node to put it on. */
  async makeImage(name: string, env: Record<string, string> = {}): Promise<void> {
    if (this.node === undefined) return;
    await this.run(new URL("test/k8s/image.sh", ROOT).pathname, [name], { env });
  }

  /** The lab's own images by their short names. */
  async labImage(name: string): Promise<void> {
    if (this.node !== undefined) await this.run(`${LAB}image.sh`, [name]);
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
      child.stdin?.end(options.input ?? "");
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
    const { stdout } = await this.run(this.node ?? "", ["sh", "-c", command]);
    return stdout;
  }

  stop(): void {
    if (this.#dir === undefined) return;
    execFileSync(`${LAB}down.sh`, [this.#dir, "--purge"], {
      env: this.#environment,
      stdio: "ignore",
    });
    rmSync(this.#dir, { recursive: true, force: true });
    if (this.#bin !== undefined) rmSync(this.#bin, { recursive: true, force: true });
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
