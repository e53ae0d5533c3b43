/** LXC containers that boot systemd, privileged or in a user namespace. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classicBinds } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { run } from "../support/run.ts";
import { limitsAreV1 } from "./guest.ts";
import {
  booted,
  CONTAINER_ROOT,
  type RunningContainer,
  throwAwayRoot,
} from "./systemd_container.ts";

export interface LxcOptions {
  readonly name: string;
  readonly memoryMib: number;
  readonly swapMib?: number;
  readonly cpus: string;
  /** First host id of the container's 65536; none: a privileged container. */
  readonly idBase?: number;
  /** Our filesystem, whose files the container gets. */
  readonly mountpoint: string;
  /** How long its systemd may take to boot. @default as any program */
  readonly bootMs?: number;
  /** Further lines of the configuration. */
  readonly config?: readonly string[];
}

/** Starts a container and waits until its systemd has booted. */
export async function startLxc(options: LxcOptions): Promise<RunningContainer> {
  const { name } = options;
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-lxc-"));
  run(["chmod", "755", folder]);
  // An overlay can't be idmapped on this kernel; the disk itself can, and is thrown away with the machine.
  const root = options.idBase === undefined ? throwAwayRoot() : undefined;
  const lxc = (program: string): string[] => [program, "-P", folder, "-n", name];
  const undo = guardWith(`${lxc("lxc-stop").join(" ")} -k\nrm -rf '${folder}'`);
  const container = {
    name,
    stop: () => {
      undo.run();
      root?.remove();
    },
  };
  try {
    const config = join(folder, "config");
    writeFileSync(config, configuration(options, root?.path ?? CONTAINER_ROOT));
    run([...lxc("lxc-start"), "-f", config, "-l", "INFO", "-o", join(folder, "log")]);
    await booted(name, [...lxc("lxc-attach"), "--"], options.bootMs);
    const initPid = Number(run([...lxc("lxc-info"), "-p", "-H"]));
    return { ...container, initPid, exec: (argv) => run([...lxc("lxc-attach"), "--", ...argv]) };
  } catch (error) {
    const log = run(["sh", "-c", `grep -E 'ERROR|WARN' ${folder}/log | tail -n 20; true`]);
    container.stop();
    throw new Error(`Cannot start the LXC container ${name}:\n${log}`, { cause: error });
  }
}

function configuration(options: LxcOptions, root: string): string {
  const { idBase } = options;
  const lines = [
    "lxc.include = /usr/share/lxc/config/common.conf",
    ...(idBase === undefined
      ? []
      : [
          "lxc.include = /usr/share/lxc/config/userns.conf",
          `lxc.idmap = u 0 ${idBase} 65536`,
          `lxc.idmap = g 0 ${idBase} 65536`,
          "lxc.rootfs.options = idmap=container",
        ]),
    // Debian's lxcfs package brings a hook for its own mountpoint: none but ours is wanted here
    "lxc.hook.mount =",
    "lxc.hook.post-stop =",
    `lxc.uts.name = ${options.name}`,
    `lxc.rootfs.path = dir:${root}`,
    "lxc.net.0.type = empty",
    "lxc.apparmor.profile = unconfined",
    "lxc.mount.auto = proc:mixed sys:mixed cgroup:mixed",
    ...limits(options),
    ...[...classicBinds(options.mountpoint)].map(
      ([inside, source]) =>
        `lxc.mount.entry = ${source} ${inside.slice(1)} none bind,ro,optional 0 0`,
    ),
    ...(options.config ?? []),
  ];
  return `${lines.join("\n")}\n`;
}

function limits({ memoryMib, swapMib, cpus }: LxcOptions): string[] {
  if (!limitsAreV1) {
    return [
      `lxc.cgroup2.memory.max = ${memoryMib}M`,
      ...(swapMib === undefined ? [] : [`lxc.cgroup2.memory.swap.max = ${swapMib}M`]),
      `lxc.cgroup2.cpuset.cpus = ${cpus}`,
    ];
  }
  return [
    `lxc.cgroup.memory.limit_in_bytes = ${memoryMib}M`,
    ...(swapMib === undefined
      ? []
      : [`lxc.cgroup.memory.memsw.limit_in_bytes = ${memoryMib + swapMib}M`]),
    `lxc.cgroup.cpuset.cpus = ${cpus}`,
  ];
}
