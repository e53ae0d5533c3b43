/** Makes the planned cgroups in every hierarchy of the running machine, and removes them again. */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import type { CgroupLayout } from "../../src/cgroup/layout.ts";
import type { Hierarchy } from "../../src/cgroup/types.ts";
import { GROUPS, LOAD_PATH, type PlannedGroup, TOP } from "./plan.ts";

/** Directory of a planned group in a hierarchy. */
export function groupDirectory(hierarchy: Hierarchy, path: string): string {
  return `${hierarchy.mountPoint}/${TOP}${path === "" ? "" : `/${path}`}`;
}

/** Makes all groups and sets their limits. What a kernel does not offer is told and left out. */
export function makeGroups(layout: CgroupLayout, cpuCount: number): void {
  for (const hierarchy of layout.hierarchies) {
    if (hierarchy.version === 2) enableControllers(hierarchy.mountPoint);
    for (const group of GROUPS) {
      const directory = groupDirectory(hierarchy, group.path);
      mkdirSync(directory, { recursive: true });
      for (const [name, value] of settings(hierarchy, group, cpuCount)) set(directory, name, value);
      if (hierarchy.version === 2 && !/leaf|bare|odd/.test(group.path))
        enableControllers(directory);
    }
  }
}

/** Removes every group that `makeGroups` made, the deepest first. */
export function removeGroups(layout: CgroupLayout): void {
  for (const hierarchy of layout.hierarchies) removeBelow(groupDirectory(hierarchy, ""));
}

function removeBelow(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeBelow(`${directory}/${entry.name}`);
    }
    rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function enableControllers(directory: string): void {
  const available = readFileSync(`${directory}/cgroup.controllers`, "latin1").trim().split(" ");
  for (const name of available.filter(Boolean))
    set(directory, "cgroup.subtree_control", `+${name}`);
}

function settings(
  hierarchy: Hierarchy,
  group: PlannedGroup,
  cpuCount: number,
): [name: string, value: string][] {
  const has = (name: string): boolean => hierarchy.controllers.includes(name);
  const { memoryBytes, swapBytes, quotaUs, periodUs = 100_000 } = group;
  const list = group.cpus?.(cpuCount);
  const wanted: [string, string][] = [];
  if (hierarchy.version === 2) {
    // Without the controller (hybrid layouts) the files are missing.
    const controllers = readFileSync(`${hierarchy.mountPoint}/cgroup.controllers`, "latin1").trim();
    const here = (name: string): boolean => controllers.split(" ").includes(name);
    if (here("memory") && memoryBytes) wanted.push(["memory.max", String(memoryBytes)]);
    if (here("memory") && swapBytes) wanted.push(["memory.swap.max", String(swapBytes)]);
    if (here("cpu") && quotaUs) wanted.push(["cpu.max", `${quotaUs} ${periodUs}`]);
    if (here("cpuset") && list) wanted.push(["cpuset.cpus", list]);
    return wanted;
  }
  if (has("memory") && memoryBytes) {
    wanted.push(["memory.limit_in_bytes", String(memoryBytes)]);
    if (swapBytes) wanted.push(["memory.memsw.limit_in_bytes", String(memoryBytes + swapBytes)]);
  }
  if (has("blkio") && group.path === LOAD_PATH) {
    // v1 counts I/O only where it is throttled: a rule that throttles nothing.
    wanted.push(["blkio.throttle.write_bps_device", `${diskOf(tmpdir())} ${2 ** 53}`]);
  }
  if (has("cpu") && quotaUs) {
    wanted.push(["cpu.cfs_period_us", String(periodUs)], ["cpu.cfs_quota_us", String(quotaUs)]);
  }
  if (has("cpuset")) {
    // A v1 cpuset takes no process before it has CPUs and memory nodes.
    const parent = `${groupDirectory(hierarchy, group.path)}/..`;
    const inherited = readFileSync(`${parent}/cpuset.cpus`, "latin1").trim();
    const nodes = readFileSync(`${parent}/cpuset.mems`, "latin1").trim();
    wanted.push(["cpuset.cpus", list ?? inherited], ["cpuset.mems", nodes]);
  }
  return wanted;
}

/** Device number of the filesystem that a path is on. */
function diskOf(path: string): string {
  const { dev } = statSync(path);
  return `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;
}

function set(directory: string, name: string, value: string): void {
  try {
    writeFileSync(`${directory}/${name}`, value);
  } catch (error) {
    console.error(`capture: cannot write ${value} to ${directory}/${name}: ${String(error)}`);
  }
}
