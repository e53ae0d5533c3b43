/**
 * Cgroups of the node's own, outside those that kubelet makes for pods. The server has one so that
 * it is not ended with the agent's pod. The agent has one because of who it is to the filesystem:
 * a process in a pod's cgroup is a container's, sees that container's machine, and is not shown the
 * directories of others that it is to bind.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { CLONE, setns } from "../../sys/native.ts";
import { readFile } from "../../sys/read.ts";

const LOOK_MS = 50;

const CGROUPS = "/sys/fs/cgroup";

/** The directories that are cgroup `name` at the node's root, in every hierarchy. */
export function cgroupDirectories(name: string): string[] {
  if (existsSync(`${CGROUPS}/cgroup.controllers`)) return [`${CGROUPS}/${name}`];
  return readdirSync(CGROUPS)
    .filter((hierarchy) => existsSync(`${CGROUPS}/${hierarchy}/cgroup.procs`))
    .map((hierarchy) => `${CGROUPS}/${hierarchy}/${name}`);
}

/** Moves this process into cgroup `name`, which is made if need be. */
export function joinCgroup(name: string): void {
  leaveCgroupNamespace();
  for (const directory of cgroupDirectories(name)) {
    mkdirSync(directory, { recursive: true });
    // A cpuset of version 1 starts out empty, and takes nobody in until it is not.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      attempt(() => writeFileSync(`${directory}/${file}`, readFile(`${directory}/../${file}`)));
    }
    enter(`${directory}/cgroup.procs`);
  }
}

/** Takes the server's cgroup away, waiting for the last process in it to end. */
export async function removeCgroup(name: string, limitMs = 10_000): Promise<void> {
  const untilMs = performance.now() + limitMs;
  for (const directory of cgroupDirectories(name)) {
    while (existsSync(directory) && performance.now() < untilMs) {
      attempt(() => rmdirSync(directory));
      if (existsSync(directory)) await sleep(LOOK_MS);
    }
  }
}

/** Moves this process to where `pid` is, as far as the hierarchies are mounted here. */
export function joinCgroupOf(pid: number): void {
  leaveCgroupNamespace();
  for (const line of readFile(`/proc/${pid}/cgroup`).split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined) continue;
    const names =
      controllers === ""
        ? ["", "unified"]
        : [controllers, ...controllers.replace(/^name=/, "").split(",")];
    for (const name of names) attempt(() => enter(`${CGROUPS}/${name}${path}/cgroup.procs`));
  }
}

/**
 * A runtime may give even this pod a cgroup namespace. On version 2 no process leaves its own by
 * moving (the kernel says ENOENT), and other processes' cgroups are told relative to it.
 */
function leaveCgroupNamespace(): void {
  attempt(() => {
    const namespace = openSync("/proc/1/ns/cgroup", "r");
    try {
      setns(namespace, CLONE.NEWCGROUP);
    } finally {
      closeSync(namespace);
    }
  });
}

/** Opened without being made: where no hierarchy is mounted, a file must not appear. */
function enter(procs: string): void {
  writeFileSync(procs, String(process.pid), { flag: "r+" });
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // Another hierarchy may do, and what cannot be left is not worth failing for.
  }
}
