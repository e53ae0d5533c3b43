/** Finds the lxcfs mounts of all mount namespaces of the machine. */
import { readdirSync, readlinkSync } from "node:fs";
import { parseMountinfo, type Mount } from "../host/mountinfo.ts";
import { tryReadFile } from "../sys/read.ts";
import { LXCFS_TYPE, topmost } from "./mount_table.ts";

/** One mount namespace that has lxcfs mounts. */
export interface NamespaceMounts {
  /** The namespace's name, `mnt:[4026531841]`. */
  readonly namespace: string;
  /** The process with the lowest number in it: as a rule the container's first. */
  readonly pid: number;
  /** The lxcfs mounts that can be reached: what lies below another mount is left out. */
  readonly mounts: readonly Mount[];
}

/** Process ids of `procRoot`, ascending. */
export function listPids(procRoot: string): number[] {
  return readdirSync(procRoot)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

/**
 * One process of each mount namespace, by the namespace's name. Processes that may not be looked at
 * (process 1 of some hosts, even for root) are left out, as are those that end meanwhile.
 */
export function listMountNamespaces(procRoot: string): Map<string, number> {
  const namespaces = new Map<string, number>();
  for (const pid of listPids(procRoot)) {
    const namespace = mountNamespaceOf(procRoot, pid);
    if (namespace && !namespaces.has(namespace)) namespaces.set(namespace, pid);
  }
  return namespaces;
}

/** The name of a process's mount namespace, `undefined` if it cannot be read. */
export function mountNamespaceOf(
  procRoot: string,
  pid: number | "self" | "thread-self",
): string | undefined {
  try {
    return readlinkSync(`${procRoot}/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/**
 * The namespaces that are never touched: this thread's own, and the host's, which is that of process
 * 1 and of the kernel's threads. Of the two, process 1 may be unreadable even for root, and the
 * threads are not seen from inside a pid namespace.
 */
export function hostNamespaces(procRoot: string): Set<string> {
  const names = [mountNamespaceOf("/proc", "thread-self"), mountNamespaceOf(procRoot, 1)];
  if (tryReadFile(`${procRoot}/2/comm`) === "kthreadd\n") names.push(mountNamespaceOf(procRoot, 2));
  return new Set(names.filter((name) => name !== undefined));
}

/** The lxcfs mounts of every mount namespace but those in `except`. */
export function findLxcfsMounts(procRoot: string, except: ReadonlySet<string>): NamespaceMounts[] {
  const found: NamespaceMounts[] = [];
  for (const [namespace, pid] of listMountNamespaces(procRoot)) {
    if (except.has(namespace)) continue;
    const text = tryReadFile(`${procRoot}/${pid}/mountinfo`);
    // Most namespaces have none: do not parse those.
    if (!text?.includes(` ${LXCFS_TYPE} `)) continue;
    const mounts = lxcfsMounts(text);
    if (mounts.length > 0) found.push({ namespace, pid, mounts });
  }
  return found;
}

/** The lxcfs mounts on top of their mount points in a mountinfo text. */
export function lxcfsMounts(mountinfo: string): Mount[] {
  const all = parseMountinfo(mountinfo);
  return all.filter(
    (mount) => mount.type === LXCFS_TYPE && topmost(all, mount.mountPoint) === mount,
  );
}

/** Where process `pid` has lxcfs mounts in place of kernel files; none if it is gone. */
export function lxcfsTargets(procRoot: string, pid: number): string[] {
  const text = tryReadFile(`${procRoot}/${pid}/mountinfo`);
  const targets = lxcfsMounts(text ?? "").map(({ mountPoint }) => mountPoint);
  // The whole filesystem, shown to a container that runs containers of its own, stays.
  return targets.filter((target) => /^\/(?:proc|sys)\//.test(target));
}
