/** OCI containers by runc or crun with the systemd cgroup driver; their root holds busybox and no more. */
import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classicBinds } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { run } from "../support/run.ts";
import type { RunningContainer } from "./systemd_container.ts";

export interface OciOptions {
  readonly runtime: "runc" | "crun";
  readonly name: string;
  /** The slice that the container's scope is put in. */
  readonly slice: string;
  readonly memoryMib: number;
  readonly swapMib: number;
  readonly cpus: string;
  readonly mountpoint: string;
}

/** The names below /proc that runc lets a bundle mount on (libcontainer's checkProcMount). */
const ALLOWED = new Set(
  ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo"].map(
    (name) => `/proc/${name}`,
  ),
);

/** Starts a container that sleeps. */
export function startOci(options: OciOptions): RunningContainer {
  const { runtime, name } = options;
  const bundle = mkdtempSync(join(tmpdir(), "lxcfs-oci-"));
  const undo = guardWith(`${runtime} delete -f ${name}\nrm -rf '${bundle}'`);
  try {
    makeRoot(join(bundle, "rootfs"));
    writeFileSync(join(bundle, "config.json"), JSON.stringify(bundleConfig(options)));
    const pidFile = join(bundle, "pid");
    const create = ["run", "--detach", "--bundle", bundle, "--pid-file", pidFile, name];
    // what it starts keeps its output: that must not be the pipe we read
    const start = `"$@" > '${bundle}/log' 2>&1 || { cat '${bundle}/log' >&2; exit 1; }`;
    run(["sh", "-c", start, "sh", runtime, "--systemd-cgroup", ...create]);
    const initPid = Number(run(["cat", pidFile]));
    const exec = (argv: readonly string[]) => run([runtime, "exec", name, ...argv]);
    return { name, initPid, exec, stop: () => undo.run() };
  } catch (error) {
    undo.run();
    throw error;
  }
}

function makeRoot(root: string): void {
  for (const name of ["bin", "proc", "sys", "dev", "tmp"])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of ["sh", "cat", "sleep", "ls"]) symlinkSync("busybox", join(root, "bin", name));
}

/** The least that the runtime specification asks for (config.md, config-linux.md). */
function bundleConfig(options: OciOptions): unknown {
  const bytes = 1024 * 1024;
  const binds = [...classicBinds(options.mountpoint)]
    .filter(([inside]) => !inside.startsWith("/proc/") || ALLOWED.has(inside))
    .map(([destination, source]) => ({
      destination,
      source,
      type: "bind",
      options: ["bind", "ro"],
    }));
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args: ["sleep", "1000000"],
      env: ["PATH=/bin"],
      cwd: "/",
    },
    root: { path: "rootfs" },
    hostname: options.name,
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "ro"] },
      { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      ...binds,
    ],
    linux: {
      cgroupsPath: `${options.slice}:lxcfs-test:${options.name}`,
      namespaces: ["pid", "mount", "ipc", "uts", "cgroup"].map((type) => ({ type })),
      resources: {
        memory: {
          limit: options.memoryMib * bytes,
          swap: (options.memoryMib + options.swapMib) * bytes,
        },
        cpu: { cpus: options.cpus },
      },
    },
  };
}
