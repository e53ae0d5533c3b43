/** From a container's cgroup to the process in it that is attached to. */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseProcessStat } from "../../host/proc_stat.ts";
import { tryReadFile } from "../../sys/read.ts";
import { CgroupWatch, watchedHierarchy, type SeenContainer } from "./cgroup_watch.ts";

/** A runtime's own program in the container's cgroup, before it becomes the user's. */
const RUNTIME = /(?:^|[/:_])(?:runc|crun|youki)\b/;
/** The sandbox program of every runtime's image, arguments separated and ended by NUL. */
const PAUSE: ReadonlySet<string> = new Set(["/pause\0", "/usr/bin/pod\0"]);
const LOOK_MS = 4;
/** A look comes late by this part of the time that was waited, and never by more than a second. */
const LOOK_SHARE = 0.02;
const MOST_LOOK_MS = 1000;

/** The first process of a cgroup or of one below it, by the host's numbers; 0 if there is none. */
export function firstProcess(cgroup: string): number {
  const first = Number(tryReadFile(`${cgroup}/cgroup.procs`)?.split("\n")[0] ?? 0);
  if (first > 0) return first;
  try {
    for (const entry of readdirSync(cgroup, { withFileTypes: true })) {
      const below = entry.isDirectory() ? firstProcess(`${cgroup}/${entry.name}`) : 0;
      if (below > 0) return below;
    }
  } catch {
    // The container has gone.
  }
  return 0;
}

/**
 * Waits until the container runs its own program: before that its mounts are still being made. On a
 * node that is just starting everything that may take minutes: looks are spread as time goes by.
 * @returns its pid, or 0 if its cgroup has gone without that
 */
export async function ownProgram(cgroup: string): Promise<number> {
  const sinceMs = performance.now();
  while (existsSync(cgroup)) {
    const pid = firstProcess(cgroup);
    if (pid > 0 && !isRuntime(pid)) return pid;
    const waitMs = (performance.now() - sinceMs) * LOOK_SHARE;
    // An agent that is to end does not stay for a container that may never start.
    await sleep(Math.min(MOST_LOOK_MS, Math.max(LOOK_MS, waitMs)), undefined, { ref: false });
  }
  return 0;
}

function isRuntime(pid: number): boolean {
  try {
    // runc runs from a sealed copy of itself: "/memfd:runc_cloned:/proc/self/exe (deleted)".
    if (RUNTIME.test(readlinkSync(`/proc/${pid}/exe`))) return true;
  } catch {
    return true;
  }
  return RUNTIME.test(tryReadFile(`/proc/${pid}/comm`) ?? "");
}

/**
 * The process that holds a pod's namespaces together: it reads nothing, it needs nothing. Told by
 * its whole command line, so that a program of the user's that has "pause" in its name is not it.
 */
export function isPause(pid: number): boolean {
  return PAUSE.has(tryReadFile(`/proc/${pid}/cmdline`) ?? "");
}

/** When a process was started: what tells it from a later one of the same number. */
export function startTicks(pid: number): number | undefined {
  const stat = tryReadFile(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseProcessStat(stat).startTicks;
}

/** All containers of the node there are now. */
export function containersNow(hierarchy = watchedHierarchy()): SeenContainer[] {
  const found: SeenContainer[] = [];
  const watch = new CgroupWatch(hierarchy, (seen) => found.push(seen));
  watch.start();
  watch.close();
  return found;
}
