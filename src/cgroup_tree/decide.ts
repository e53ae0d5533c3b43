/**
 * What a caller may see and do in the cgroup tree. Decisions only: everything they rest on is given.
 */
import { isAtOrBelow } from "../caller/container_path.ts";
import { nearestScope } from "../caller/scope.ts";

/** A process in one hierarchy: its cgroup, and the roots of the cgroup mounts that it sees. */
export interface Place {
  readonly path: string;
  readonly mountRoots: readonly string[];
}

/** systemd moves itself from a container's top cgroup into this child. */
const INIT_SCOPE = "/init.scope";

/**
 * The topmost cgroup that is the caller's own. Unlike the container of the files in /proc, which is
 * found by every hint there is, this rests only on what can't be made wider from inside: a mount of
 * that part of the tree, which the caller could look at in any case; or the cgroup that its init, or
 * it itself, is in.
 *
 * @param init the first process of the caller's pid namespace; `undefined` if that is the host's
 * @param entered whether the caller shares init's mount namespace: one that came in from outside
 * @returns a cgroup, or `/` where nothing is known to be its own: then it is shown nothing
 */
export function ownRootOf(caller: Place, init: Place | undefined, entered: boolean): string {
  const mounted = mountedAbove(caller);
  if (mounted !== undefined) return mounted;
  if (init === undefined) return nearestScope(caller.path)?.path ?? caller.path;
  const led = init.path.endsWith(INIT_SCOPE) ? init.path.slice(0, -INIT_SCOPE.length) : init.path;
  if (led !== "" && isAtOrBelow(caller.path, led)) return led;
  if (entered) return mountedAbove(init) ?? (led || "/");
  return caller.path;
}

/** Whether a process of the host's own namespaces is in a container all the same. */
export function isContained(caller: Place): boolean {
  return mountedAbove(caller) !== undefined || nearestScope(caller.path) !== undefined;
}

/** The innermost mounted part of the tree that a process's cgroup is in; the whole tree is none. */
function mountedAbove({ path, mountRoots }: Place): string | undefined {
  let innermost: string | undefined;
  for (const root of mountRoots) {
    if (root === "/" || !isAtOrBelow(path, root)) continue;
    if (innermost === undefined || root.length > innermost.length) innermost = root;
  }
  return innermost;
}

/** Where a cgroup stands for a caller. */
export type Standing =
  /** It does not exist, for this caller. */
  | { readonly is: "foreign" }
  /** It shows one entry, the next cgroup down to the caller's own; `undefined`: none. */
  | { readonly is: "ancestor"; readonly step: number | undefined }
  | { readonly is: "own" }
  | { readonly is: "below" };

export const FOREIGN: Standing = { is: "foreign" };

/**
 * @param id the cgroup asked about
 * @param rootId the caller's own cgroup; `undefined` if it has none in this hierarchy
 * @param topId the topmost cgroup there is
 * @param parentOf the cgroup above; `undefined` above the topmost, and for one that is gone
 */
export function standingOf(
  id: number,
  rootId: number | undefined,
  topId: number,
  parentOf: (id: number) => number | undefined,
): Standing {
  if (rootId === undefined) return id === topId ? { is: "ancestor", step: undefined } : FOREIGN;
  if (id === rootId) return { is: "own" };
  let step: number = rootId;
  for (let up = parentOf(rootId); up !== undefined; up = parentOf(up)) {
    if (up === id) return { is: "ancestor", step };
    step = up;
  }
  for (let up = parentOf(id); up !== undefined; up = parentOf(up)) {
    if (up === rootId) return { is: "below" };
  }
  return FOREIGN;
}

/** Files that list processes or threads, and move what is written to them. */
export function movesWhat(file: string): "process" | "thread" | undefined {
  if (file === "cgroup.procs") return "process";
  return file === "tasks" || file === "cgroup.threads" ? "thread" : undefined;
}

/**
 * Files whose content is relative to the process that reads or writes them (its descriptors, its
 * network namespace), which here would be the server.
 */
export function isOfTheServer(file: string): boolean {
  return file === "cgroup.event_control" || file === "net_prio.ifpriomap";
}

/** Files where a write makes something that lives as long as the descriptor: a pressure trigger. */
export function armsTrigger(file: string): boolean {
  return file.endsWith(".pressure") && file !== "cgroup.pressure";
}

/**
 * Cgroup v1 has no list of what a delegated cgroup's owner may write in it. The same as on v2: where
 * processes are, and nothing that limits or accounts.
 */
const V1_DELEGATABLE: ReadonlySet<string> = new Set([
  "tasks",
  "cgroup.procs",
  "cgroup.clone_children",
  "notify_on_release",
]);

/** /sys/kernel/cgroup/delegate where the kernel does not tell (before 4.15). */
export const V2_DELEGATABLE: ReadonlySet<string> = new Set([
  "cgroup.procs",
  "cgroup.threads",
  "cgroup.subtree_control",
]);

/**
 * Whether a file of the caller's own topmost cgroup may be changed from inside. Its limits are what
 * was set for the container, not by it.
 */
export function isDelegatable(
  version: 1 | 2,
  file: string,
  v2Delegatable: ReadonlySet<string>,
): boolean {
  return (version === 1 ? V1_DELEGATABLE : v2Delegatable).has(file);
}

/** The number that is written to a file that moves processes; `undefined` if it is none (EINVAL). */
export function parsePid(text: string): number | undefined {
  const digits = /^\s*\+?(\d{1,10})\s*$/.exec(text)?.[1];
  const pid = Number(digits ?? NaN);
  return pid <= 0x7fffffff ? pid : undefined;
}
