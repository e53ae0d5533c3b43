/** One walk over all processes: which of them are in a cgroup that a runtime made for a container. */
import { readlinkSync } from "node:fs";
import { nearestScope } from "../caller/scope.ts";
import { listPids } from "../attach/find_mounts.ts";
import { parseProcCgroup } from "../host/proc_cgroup.ts";
import { parseProcessStatus } from "../host/proc_status.ts";
import { tryReadFile } from "../sys/read.ts";
import type { MachineRoots, ScopedContainer } from "./types.ts";

/**
 * The containers that cgroup names tell of, each with its first process: the one that is process 1
 * of its own pid namespace or, if there is none, the one with the lowest number. Processes of the
 * host's mount namespace are none of a container's (monitors, shims).
 */
export function scanScopes(roots: MachineRoots): ScopedContainer[] {
  const host = namespaceOf(roots.proc, "self");
  const found = new Map<string, ScopedContainer & { leads: boolean }>();
  for (const pid of listPids(roots.proc)) {
    const scope = scopeOf(roots.proc, pid);
    if (!scope) continue;
    const key = `${scope.runtime} ${scope.name}`;
    const known = found.get(key);
    if (known?.leads || namespaceOf(roots.proc, pid) === host) continue;
    const leads = isInit(roots.proc, pid);
    if (!known || leads) found.set(key, { ...scope, pid, leads });
  }
  return [...found.values()].map(({ runtime, name, pid }) => ({ runtime, name, pid }));
}

function scopeOf(procRoot: string, pid: number): { runtime: string; name: string } | undefined {
  const text = tryReadFile(`${procRoot}/${pid}/cgroup`);
  // Most processes of a host are in no container: look at the text before taking it apart.
  if (!text || !/docker|libpod|lxc|nspawn|machine|kubepods|crio|containerd|nerdctl/.test(text)) {
    return undefined;
  }
  try {
    for (const { path } of parseProcCgroup(text)) {
      const scope = nearestScope(path);
      if (scope) return scope;
    }
  } catch {
    // A process that is just ending.
  }
  return undefined;
}

function namespaceOf(procRoot: string, pid: number | "self"): string {
  try {
    return readlinkSync(`${procRoot}/${pid}/ns/mnt`);
  } catch {
    return "";
  }
}

/** Whether it is process 1 of a pid namespace below the host's. */
function isInit(procRoot: string, pid: number): boolean {
  try {
    const text = tryReadFile(`${procRoot}/${pid}/status`);
    const pids = text === undefined ? [] : parseProcessStatus(text).namespacePids;
    return pids.length > 1 && pids.at(-1) === 1;
  } catch {
    return false;
  }
}
