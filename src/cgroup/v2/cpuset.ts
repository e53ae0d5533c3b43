/**
 * CPUs and memory nodes of a cgroup v2, Documentation/admin-guide/cgroup-v2.rst:
 *
 *     cpuset.cpus            (empty: the ancestor's)
 *     cpuset.cpus.effective  0-3,6
 *     cpuset.mems.effective  0
 *
 * What is effective is within the ancestors' and online; cgroups for which the controller is not
 * enabled have no file and use their nearest ancestor's.
 */
import { NumberListFile } from "../number_list_file.ts";

/** @param levels directories, the cgroup's own first */
export function cpusV2(levels: readonly string[]): NumberListFile {
  return new NumberListFile(levels, ["cpuset.cpus.effective"]);
}

/** @param levels directories, the cgroup's own first */
export function memoryNodesV2(levels: readonly string[]): NumberListFile {
  return new NumberListFile(levels, ["cpuset.mems.effective"]);
}
