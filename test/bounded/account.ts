/** What a server holds: memory, descriptors, places in shared memory, requests that wait in the kernel. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { memoryKb } from "../../bench/processes.ts";
import type { Status } from "../../src/daemon/status.ts";
import { tryRun } from "../support/run.ts";

export interface Holdings {
  /** RssAnon of the server, in kB. */
  readonly memoryKb: number;
  /** The memory file that server after server shares, in kB. */
  readonly sharedKb: number;
  readonly descriptors: number;
  /** Serving threads. */
  readonly workers: number;
  /** Requests that the kernel holds for this mount. */
  readonly waiting: number;
}

export function holdingsOf(status: Status): Holdings {
  const { serverPid, stateFd, mountpoint } = status;
  return {
    memoryKb: memoryKb([serverPid]).rssAnon,
    sharedKb: statSync(`/proc/${serverPid}/fd/${stateFd}`).blocks / 2,
    descriptors: descriptorTargets(serverPid).length,
    workers: status.workers,
    waiting: waitingAt(mountpoint),
  };
}

/**
 * Descriptors that a server holds of containers: their cgroups, processes and namespaces.
 * @param cgroups part of the paths of those cgroups
 */
export function containerDescriptors(serverPid: number, cgroups: string): number {
  const isOfContainer = (target: string): boolean =>
    target.includes(cgroups) || /^pid:|^\/proc\/\d+\//.test(target);
  return descriptorTargets(serverPid).filter(isOfContainer).length;
}

/** What each descriptor of a process leads to. */
function descriptorTargets(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // Closed meanwhile.
    }
  });
}

/** `waiting` of the connection, in fusectl, which is mounted for this one look. */
function waitingAt(mountpoint: string): number {
  const mount = readFileSync("/proc/self/mountinfo", "latin1")
    .split("\n")
    .map((line) => line.split(" "))
    .findLast((fields) => fields[4] === mountpoint);
  const connection = mount?.[2]?.split(":")[1] ?? "none";
  const script = `mount -t fusectl none /sys/fs/fuse/connections && cat "/sys/fs/fuse/connections/$1/waiting"`;
  const argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"];
  return Number(tryRun([...argv, connection]).stdout || Number.NaN);
}
