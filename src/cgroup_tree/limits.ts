/**
 * Limits of cgroup v1 that hold for one cgroup alone, not for those below it (Linux,
 * Documentation/admin-guide/cgroup-v1): whoever can make a cgroup below and move there is free of
 * them. All others, and all of v2, hold for everything below.
 *
 *     blkio.throttle.write_bps_device    "254:0 1048576", one line a device; empty: no limit
 *     memory.use_hierarchy               0 before Linux 5.11, unless somebody sets it
 */
import type { Hierarchy } from "../cgroup/types.ts";
import { closeFd, openEntry } from "../sys/native.ts";
import { readFd } from "../sys/read.ts";

const O_RDONLY = 0;
const THROTTLES = ["read_bps", "read_iops", "write_bps", "write_iops"];

/** Whether a process that moves to a cgroup below the one open as `directoryFd` gets rid of a limit. */
export function leavesLimits(directoryFd: number, { controllers }: Hierarchy): boolean {
  if (controllers.includes("blkio")) {
    return THROTTLES.some((each) => textIn(directoryFd, `blkio.throttle.${each}_device`) !== "");
  }
  // What a group may use has no bearing on those below it, whatever it is.
  return controllers.includes("memory") && textIn(directoryFd, "memory.use_hierarchy") === "0";
}

/** @returns "" for a file that this kernel does not have */
function textIn(directoryFd: number, name: string): string {
  let fd: number;
  try {
    fd = openEntry(directoryFd, Buffer.from(name), O_RDONLY);
  } catch {
    return "";
  }
  try {
    return readFd(fd).trim();
  } finally {
    closeFd(fd);
  }
}
