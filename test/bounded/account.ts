/** What a server holds: memory, descriptors, places in shared memory, requests that wait in the kernel. */
import { readdirSync, readFileSync, statSync } from "node:fs";
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
    descriptors: readdirSync(`/proc/${serverPid}/fd`).length,
    workers: status.workers,
    waiting: waitingAt(mountpoint),
  };
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
