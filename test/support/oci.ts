/** Containers of runc and crun: a bundle of this machine's programs, with files bound over /proc. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Limits, mountedHierarchies } from "./cgroup_tree.ts";
import { guardWith, type Undo } from "./guard.ts";
import { quote } from "./container.ts";
import { makeRootfs } from "./rootfs.ts";
import { run, type RunOptions } from "./run.ts";

export type OciRuntime = "runc" | "crun";

export interface OciOptions {
  readonly limits?: Limits;
  /** Path inside -> source on the host. */
  readonly binds?: ReadonlyMap<string, string>;
  /** Hooks as config.json has them. */
  readonly hooks?: Readonly<Record<string, readonly OciHook[]>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface OciHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
}

/** The paths under /proc that runc lets a bundle bind over; pressure is not among them. */
export const RUNC_PROC_PATHS: readonly string[] = [
  "cpuinfo",
  "diskstats",
  "meminfo",
  "stat",
  "swaps",
  "uptime",
  "loadavg",
  "slabinfo",
];

let made = 0;

/**
 * crun refuses a hybrid machine whose v2 hierarchy has controllers: it is shown the v1 hierarchies
 * alone, in a mount namespace of its own.
 */
function command(runtime: OciRuntime): string[] {
  const second = mountedHierarchies().find(({ version }) => version === 2);
  const hybrid = second !== undefined && second.mountpoint !== "/sys/fs/cgroup";
  if (runtime === "runc" || !hybrid || second.controllers.join("") === "") return [runtime];
  const script = `umount '${second.mountpoint}'; exec crun "$@"`;
  return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "crun"];
}

/** A running container. */
export class OciContainer {
  readonly runtime: OciRuntime;
  readonly id: string;
  readonly #command: readonly string[];
  readonly #undo: Undo;

  private constructor(
    runtime: OciRuntime,
    id: string,
    runtimeCommand: readonly string[],
    undo: Undo,
  ) {
    this.runtime = runtime;
    this.id = id;
    this.#command = runtimeCommand;
    this.#undo = undo;
  }

  /** Makes the bundle and runs it detached. @throws Error with what the runtime said */
  static start(runtime: OciRuntime, options: OciOptions = {}): OciContainer {
    const id = `lxcfs-test-${runtime}-${process.pid}-${made++}`;
    const bundle = mkdtempSync(join(tmpdir(), "lxcfs-bundle-"));
    const runtimeCommand = [...command(runtime), "--root", join(bundle, "state")];
    const undo = guardWith(`
${runtimeCommand.map(quote).join(" ")} delete -f ${id}
find /sys/fs/cgroup -depth -type d -path '*/${id}*' -exec rmdir {} +
rm -rf --one-file-system '${bundle}'
`);
    const rootfs = join(bundle, "rootfs");
    mkdirSync(rootfs);
    const bound = makeRootfs(rootfs);
    const config = ociConfig(id, bound, options);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config, null, 2));
    const container = new OciContainer(runtime, id, runtimeCommand, undo);
    try {
      // The container must not keep this process's pipes, or running it would seem not to end.
      const quiet = '"$@" </dev/null >"$0" 2>&1 || { cat "$0" >&2; exit 1; }';
      const log = join(bundle, "log");
      const argv = [...runtimeCommand, "run", "-d", "--bundle", bundle, id];
      run(["sh", "-c", quiet, log, ...argv]);
    } catch (error) {
      undo.run();
      throw error;
    }
    return container;
  }

  /** Host pid of the container's pid 1. */
  get initPid(): number {
    const state = run([...this.#command, "state", this.id]);
    return (JSON.parse(state) as { pid: number }).pid;
  }

  /** Runs `argv` inside and returns its output. @throws Error if it fails */
  exec(argv: readonly string[], options: RunOptions = {}): string {
    return run([...this.#command, "exec", this.id, ...argv], options);
  }

  read(path: string): string {
    return this.exec(["cat", path]);
  }

  /** Kills and removes it. Idempotent. */
  stop(): void {
    this.#undo.run();
  }
}

function ociConfig(id: string, bound: readonly string[], options: OciOptions): object {
  const { limits = {} } = options;
  const capabilities = ["CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_DAC_OVERRIDE"];
  const mount = (destination: string, source: string, more: readonly string[] = []): object => ({
    destination,
    source,
    type: "bind",
    options: ["rbind", ...more],
  });
  return {
    ociVersion: "1.0.2",
    hostname: "container",
    annotations: options.annotations ?? {},
    ...(options.hooks ? { hooks: options.hooks } : {}),
    root: { path: "rootfs", readonly: false },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["sleep", "infinity"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      noNewPrivileges: true,
    },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      ...bound.map((name) => mount(`/${name}`, `/${name}`, ["ro"])),
      ...[...(options.binds ?? [])].map(([inside, source]) => mount(inside, source)),
    ],
    linux: {
      cgroupsPath: `/${id}`,
      namespaces: ["pid", "mount", "ipc", "uts", "cgroup", "network"].map((type) => ({ type })),
      resources: {
        memory: {
          ...(limits.memoryBytes === undefined ? {} : { limit: limits.memoryBytes }),
          ...(limits.swapBytes === undefined
            ? {}
            : { swap: (limits.memoryBytes ?? 0) + limits.swapBytes }),
        },
        cpu: {
          ...(limits.cpuQuotaUs === undefined
            ? {}
            : { quota: limits.cpuQuotaUs, period: limits.cpuPeriodUs ?? 100_000 }),
          ...(limits.cpuset === undefined ? {} : { cpus: limits.cpuset }),
        },
      },
    },
  };
}
