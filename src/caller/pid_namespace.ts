/**
 * The first process of a pid namespace, as the host numbers it. Nothing is forked for it.
 *
 * Linux 6.11 translates a pid on request (ioctl_nsfs(2), NS_GET_TGID_FROM_PIDNS). Before that, it is
 * searched for where it nearly always is: among the caller's ancestors, then everywhere.
 */
import { fstatSync, readdirSync } from "node:fs";
import { parseProcessStatus } from "../host/proc_status.ts";
import { opening } from "../sys/exhaustion.ts";
import { inodeOf, ioctlNumber } from "../sys/native.ts";
import { tryReadFile } from "../sys/read.ts";
import type { HostPid, PidNamespaceId } from "../sys/ids.ts";

/** `_IOR(0xb7, 0x7, int)` of linux/nsfs.h: a process of that namespace, in the caller's numbers. */
const NS_GET_TGID_FROM_PIDNS = 0x8004b707;

/** More ancestors than that within one container are not walked: the full search finds the init, too. */
const MAX_ANCESTORS = 64;

/** The pid namespace of a process or thread; `undefined` if it is gone or may not be looked at. */
export function pidNamespaceOf(procRoot: string, pid: number): PidNamespaceId | undefined {
  return namespaceOf(procRoot, pid, "pid") as PidNamespaceId | undefined;
}

/** The number of one of a process's namespaces, `kind` as in /proc/<pid>/ns. */
export function namespaceOf(procRoot: string, pid: number, kind: string): number | undefined {
  const inode = inodeOf(`${procRoot}/${pid}/ns/${kind}`);
  return inode < 0 ? undefined : inode;
}

/**
 * @param namespaceFd a descriptor of the namespace (`/proc/<pid>/ns/pid`)
 * @param member any process in it
 * @returns `undefined` if the namespace has no first process any more
 */
export function initOfPidNamespace(
  procRoot: string,
  namespaceFd: number,
  member: HostPid,
): HostPid | undefined {
  const told = ioctlNumber(namespaceFd, NS_GET_TGID_FROM_PIDNS, 1);
  if (told > 0) return told as HostPid;
  // By the descriptor, since the member may be gone by now.
  const namespace = fstatSync(namespaceFd).ino as PidNamespaceId;
  return initAmongAncestors(procRoot, member, namespace) ?? initAnywhere(procRoot, namespace);
}

function initAmongAncestors(
  procRoot: string,
  member: HostPid,
  namespace: PidNamespaceId,
): HostPid | undefined {
  let pid: number = member;
  for (let step = 0; step < MAX_ANCESTORS && pid > 1; step++) {
    const text = tryReadFile(`${procRoot}/${pid}/status`);
    if (text === undefined) return undefined;
    const status = parseProcessStatus(text);
    if (status.namespacePids.at(-1) === 1) {
      return pidNamespaceOf(procRoot, pid) === namespace ? (pid as HostPid) : undefined;
    }
    pid = status.parentPid;
  }
  return undefined;
}

function initAnywhere(procRoot: string, namespace: PidNamespaceId): HostPid | undefined {
  for (const name of opening(() => readdirSync(procRoot))) {
    const pid = Number(name);
    if (!(pid > 0) || pidNamespaceOf(procRoot, pid) !== namespace) continue;
    const text = tryReadFile(`${procRoot}/${pid}/status`);
    if (text !== undefined && parseProcessStatus(text).namespacePids.at(-1) === 1)
      return pid as HostPid;
  }
  return undefined;
}
