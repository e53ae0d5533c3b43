/** Containers of LXC, with a mount hook as `lxc.hook.mount` runs it. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Limits } from "./cgroup_tree.ts";
import { guardWith, type Undo } from "./guard.ts";
import { makeRootfs } from "./rootfs.ts";
import { run, type RunOptions } from "./run.ts";

export interface LxcOptions {
  readonly limits?: Limits;
  /** Absolute path of a program; LXC_ROOTFS_MOUNT tells it where the root is. */
  readonly mountHook?: string;
  /** Further lines of the configuration. */
  readonly config?: readonly string[];
}

let made = 0;

/** A running container. */
export class LxcContainer {
  readonly name: string;
  readonly directory: string;
  readonly #undo: Undo;

  private constructor(name: string, directory: string, undo: Undo) {
    this.name = name;
    this.directory = directory;
    this.#undo = undo;
  }

  /** @throws Error with LXC's own log */
  static start(options: LxcOptions = {}): LxcContainer {
    const name = `lxcfs-test-lxc-${process.pid}-${made++}`;
    const directory = mkdtempSync(join(tmpdir(), "lxcfs-lxc-"));
    const undo = guardWith(`
lxc-stop -P '${directory}' -n ${name} -k
find /sys/fs/cgroup -depth -type d -path '*/${name}*' -exec rmdir {} +
rm -rf --one-file-system '${directory}'
`);
    const rootfs = join(directory, "rootfs");
    mkdirSync(rootfs);
    const bound = makeRootfs(rootfs);
    const config = join(directory, "config");
    writeFileSync(config, lxcConfig(name, rootfs, bound, options).join("\n") + "\n");
    const log = join(directory, "log");
    try {
      const start = 'lxc-start "$@" </dev/null >/dev/null 2>&1 || { cat "$0" >&2; exit 1; }';
      run(["sh", "-c", start, log, "-P", directory, "-n", name, "-f", config, "-o", log, "-d"]);
    } catch (error) {
      undo.run();
      throw error;
    }
    return new LxcContainer(name, directory, undo);
  }

  /** Host pid of the container's pid 1. */
  get initPid(): number {
    return Number(run(["lxc-info", "-P", this.directory, "-n", this.name, "-pH"]).trim());
  }

  /** Runs `argv` inside and returns its output. @throws Error if it fails */
  exec(argv: readonly string[], options: RunOptions = {}): string {
    return run(["lxc-attach", "-P", this.directory, "-n", this.name, "--", ...argv], options);
  }

  read(path: string): string {
    return this.exec(["cat", path]);
  }

  /** Kills and removes it. Idempotent. */
  stop(): void {
    this.#undo.run();
  }
}

function lxcConfig(
  name: string,
  rootfs: string,
  bound: readonly string[],
  options: LxcOptions,
): string[] {
  const { limits = {} } = options;
  const lines = [
    `lxc.uts.name = ${name}`,
    `lxc.rootfs.path = dir:${rootfs}`,
    "lxc.init.cmd = /usr/bin/sleep infinity",
    "lxc.mount.auto = proc:rw sys:rw cgroup:mixed",
    "lxc.net.0.type = empty",
    "lxc.apparmor.profile = unconfined",
    `lxc.cgroup.dir = ${name}`,
    ...bound.map((directory) => `lxc.mount.entry = /${directory} ${directory} none bind,ro 0 0`),
  ];
  const both = (v1: string, v2: string, v1Value: string, v2Value = v1Value): void => {
    lines.push(`lxc.cgroup.${v1} = ${v1Value}`, `lxc.cgroup2.${v2} = ${v2Value}`);
  };
  const { memoryBytes, cpuQuotaUs, cpuPeriodUs = 100_000, cpuset } = limits;
  if (memoryBytes !== undefined) both("memory.limit_in_bytes", "memory.max", String(memoryBytes));
  if (cpuQuotaUs !== undefined) {
    both("cpu.cfs_quota_us", "cpu.max", String(cpuQuotaUs), `${cpuQuotaUs} ${cpuPeriodUs}`);
  }
  if (cpuset !== undefined) both("cpuset.cpus", "cpuset.cpus", cpuset);
  if (options.mountHook !== undefined) lines.push(`lxc.hook.mount = ${options.mountHook}`);
  return [...lines, ...(options.config ?? [])];
}
