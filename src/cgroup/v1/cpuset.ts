/**
 * CPUs and memory nodes of a cgroup v1, Documentation/admin-guide/cgroup-v1/cpusets.rst:
 *
 *     cpuset.cpus            0-1      configured; empty in a cgroup that was only made
 *     cpuset.effective_cpus  0-1      what of it is online
 *     cpuset.effective_mems  0
 */
import { NumberListFile } from "../number_list_file.ts";

/** @param levels directories in the hierarchy of `cpuset`, the cgroup's own first */
export function cpusV1(levels: readonly string[]): NumberListFile {
  return new NumberListFile(levels, ["cpuset.effective_cpus", "cpuset.cpus"]);
}

/** @param levels directories in the hierarchy of `cpuset`, the cgroup's own first */
export function memoryNodesV1(levels: readonly string[]): NumberListFile {
  return new NumberListFile(levels, ["cpuset.effective_mems", "cpuset.mems"]);
}
