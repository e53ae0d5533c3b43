/**
 * Real cgroups for tests: the same path in every mounted hierarchy, v1 and v2, with limits, removed
 * afterwards. Independent of the readers under test.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guardWith, type Undo } from "./guard.ts";

/** A mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountpoint: string;
  /** Controllers (v1: as mounted, `name=systemd` included; v2: those that can be enabled). */
  readonly controllers: readonly string[];
}

/** Limits of one cgroup; what is absent stays unlimited. */
export interface Limits {
  readonly memoryBytes?: number;
  /** Swap alone, as v2 counts it; on v1 memory and swap together are limited to the sum. */
  readonly swapBytes?: number;
  readonly cpuQuotaUs?: number;
  readonly cpuPeriodUs?: number;
  /** A list as `cpuset.cpus` takes it, such as `0-1,3`. */
  readonly cpuset?: string;
}

/** The hierarchies mounted below /sys/fs/cgroup, from `/proc/self/mountinfo`. */
export function mountedHierarchies(
  mountinfo: string = readFileSync("/proc/self/mountinfo", "utf8"),
): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of mountinfo.split("\n")) {
    const [mount, filesystem] = line.split(" - ");
    const mountpoint = mount?.split(" ")[4];
    const [type, , options] = filesystem?.split(" ") ?? [];
    if (!mountpoint?.startsWith("/sys/fs/cgroup")) continue;
    if (type === "cgroup") {
      // A release agent is the host's own: in a user namespace the kernel refuses to hear of it.
      const controllers = (options ?? "")
        .split(",")
        .filter((name) => name !== "rw" && !name.startsWith("release_agent="));
      found.push({ version: 1, mountpoint, controllers });
    } else if (type === "cgroup2") {
      const controllers = readFileSync(join(mountpoint, "cgroup.controllers"), "utf8");
      found.push({ version: 2, mountpoint, controllers: controllers.trim().split(" ") });
    }
  }
  return found;
}

/** A chain of cgroups, one below the other, at the same path in every hierarchy. */
export class CgroupTree {
  readonly hierarchies: readonly Hierarchy[];
  /** Path of the topmost cgroup, with a leading slash. */
  readonly top: string;
  /** Path of the deepest cgroup: where processes go. */
  readonly path: string;
  readonly #undo: Undo;

  /**
   * @param name one path component, unique on this machine
   * @param depth how many levels: 1 makes `/name`, 3 makes `/name/1/2`
   */
  constructor(name: string, depth = 1, hierarchies: readonly Hierarchy[] = mountedHierarchies()) {
    this.hierarchies = hierarchies;
    this.top = `/${name}`;
    const levels = Array.from({ length: depth - 1 }, (_, level) => `/${level + 1}`);
    this.path = this.top + levels.join("");
    this.#undo = guardWith(removalScript(this.top, hierarchies));
    for (const hierarchy of hierarchies) makeChain(hierarchy, this.top, levels);
  }

  /** Directory of the deepest cgroup (or of `path`) in each hierarchy. */
  directories(path: string = this.path): string[] {
    return this.hierarchies.map((hierarchy) => join(hierarchy.mountpoint, path));
  }

  /** Makes a further cgroup below an existing one, in each hierarchy. */
  makeBelow(path: string, child: string): string {
    for (const hierarchy of this.hierarchies) makeChain(hierarchy, path, [`/${child}`]);
    return `${path}/${child}`;
  }

  /** Sets limits of the deepest cgroup, or of `path`. */
  limit(limits: Limits, path: string = this.path): void {
    for (const hierarchy of this.hierarchies) {
      if (limits.cpuset !== undefined) narrowCpusets(hierarchy, path, limits.cpuset);
      setLimits(hierarchy, path, limits);
    }
  }

  /** Whether some hierarchy has `controller`. */
  has(controller: string): boolean {
    return this.hierarchies.some((hierarchy) => hierarchy.controllers.includes(controller));
  }

  /** The file `name` (v1's or v2's) of the deepest cgroup, where it exists. */
  file(name: string, path: string = this.path): string | undefined {
    return this.directories(path)
      .map((directory) => join(directory, name))
      .find((file) => existsSync(file));
  }

  /** sh lines that move the shell itself into the deepest cgroup. */
  joinScript(path: string = this.path): string {
    return this.directories(path)
      .flatMap((directory) => [
        `directory='${directory}'`,
        `if [ -d "$directory${INIT_SCOPE}" ]; then directory=$directory${INIT_SCOPE}; fi`,
        'echo 0 > "$directory/cgroup.procs"',
      ])
      .join("\n");
  }

  /** Kills what is in the cgroups and removes them. */
  remove(): void {
    this.#undo.run();
  }

  /** Directories of this tree that still exist: nothing, after `remove`. */
  left(): string[] {
    return this.directories(this.top).filter((directory) => existsSync(directory));
  }
}

function makeChain(hierarchy: Hierarchy, top: string, levels: readonly string[]): void {
  let directory = hierarchy.mountpoint;
  for (const step of [top, ...levels]) {
    if (hierarchy.version === 2) enableControllers(directory);
    directory = join(directory, step);
    mkdirSync(directory, { recursive: true });
    if (hierarchy.controllers.includes("cpuset") && hierarchy.version === 1) {
      for (const name of ["cpuset.cpus", "cpuset.mems"]) inherit(directory, name);
    }
  }
}

/**
 * Where the processes of a v2 cgroup go when it gets children, as systemd does it: a cgroup has
 * processes or children with controllers, never both (Documentation/admin-guide/cgroup-v2.rst, "No
 * Internal Process Constraint").
 */
const INIT_SCOPE = "/init.scope";

/** Lets children of a v2 cgroup have every controller it has; each on its own, as any may refuse. */
function enableControllers(directory: string): void {
  const controllers = readFileSync(join(directory, "cgroup.controllers"), "utf8").trim();
  // The root of the hierarchy has no type, and is exempt.
  if (controllers !== "" && existsSync(join(directory, "cgroup.type"))) makeRoom(directory);
  for (const controller of controllers.split(" ")) {
    if (controller !== "") tryWrite(join(directory, "cgroup.subtree_control"), `+${controller}`);
  }
}

function makeRoom(directory: string): void {
  const pids = readFileSync(join(directory, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
  if (pids.length === 0) return;
  mkdirSync(directory + INIT_SCOPE, { recursive: true });
  for (const pid of pids) tryWrite(`${directory}${INIT_SCOPE}/cgroup.procs`, pid);
}

/** A new v1 cpuset is empty and takes no process until it has CPUs and memory nodes. */
function inherit(directory: string, name: string): void {
  const file = join(directory, name);
  if (readFileSync(file, "utf8").trim() === "") {
    writeFileSync(file, readFileSync(join(directory, "..", name), "utf8"));
  }
}

/** A v1 cpuset takes no list smaller than its children's: theirs first, deepest before. */
function narrowCpusets(hierarchy: Hierarchy, path: string, cpuset: string): void {
  if (hierarchy.version === 2 || !hierarchy.controllers.includes("cpuset")) return;
  const directory = join(hierarchy.mountpoint, path);
  for (const child of readdirSync(directory, { withFileTypes: true })) {
    if (!child.isDirectory()) continue;
    narrowCpusets(hierarchy, join(path, child.name), cpuset);
    writeFileSync(join(directory, child.name, "cpuset.cpus"), cpuset);
  }
}

function setLimits(hierarchy: Hierarchy, path: string, limits: Limits): void {
  const directory = join(hierarchy.mountpoint, path);
  const set = (controller: string, name: string, value: string | number | undefined): void => {
    if (value === undefined || !hierarchy.controllers.includes(controller)) return;
    writeFileSync(join(directory, name), String(value));
  };
  const { memoryBytes, swapBytes, cpuQuotaUs, cpuset } = limits;
  const cpuPeriodUs = limits.cpuPeriodUs ?? 100_000;
  set("cpuset", "cpuset.cpus", cpuset);
  if (hierarchy.version === 2) {
    set("memory", "memory.max", memoryBytes);
    set("memory", "memory.swap.max", swapBytes);
    set("cpu", "cpu.max", cpuQuotaUs === undefined ? undefined : `${cpuQuotaUs} ${cpuPeriodUs}`);
    return;
  }
  set("memory", "memory.limit_in_bytes", memoryBytes);
  if (memoryBytes !== undefined && swapBytes !== undefined) {
    set("memory", "memory.memsw.limit_in_bytes", memoryBytes + swapBytes);
  }
  if (cpuQuotaUs !== undefined) set("cpu", "cpu.cfs_period_us", cpuPeriodUs);
  set("cpu", "cpu.cfs_quota_us", cpuQuotaUs);
}

/** sh: kill all processes below the cgroups of `top`, then remove them, deepest first. */
function removalScript(top: string, hierarchies: readonly Hierarchy[]): string {
  const directories = hierarchies.map((hierarchy) => `'${join(hierarchy.mountpoint, top)}'`);
  return `
try=0
while [ $try -lt 100 ]; do
  try=$((try + 1)) left=
  for top in ${directories.join(" ")}; do
    [ -d "$top" ] || continue
    for pid in $(find "$top" -name cgroup.procs -exec cat {} +); do
      [ "$pid" = 0 ] || kill -9 "$pid"
    done
    find "$top" -depth -type d -exec rmdir {} +
    [ -d "$top" ] && left=1
  done
  [ -z "$left" ] && exit 0
  # Killed processes first give up their mounts and namespaces, which may take seconds.
  sleep 0.1
done
exit 1
`;
}

function tryWrite(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch {
    // The controller stays unavailable below; the tests that need it find it missing.
  }
}
