/**
 * What a caller may see and do in the cgroup tree. Decisions only: everything they rest on is given.
 */
import { isAtOrBelow } from "../caller/container_path.ts";
import { nearestScope } from "../caller/scope.ts";
import type { MountRoots } from "./own_mounts.ts";

/** A process in one hierarchy: its cgroup, and the cgroup mounts that it sees. */
export interface Place {
  readonly path: string;
  readonly mounts: MountRoots;
}

/** systemd moves itself from a container's top cgroup into this child. */
const INIT_SCOPE = "/init.scope";

/**
 * The topmost cgroup that is the caller's own. Unlike the container of the files in /proc, which is
 * found by every hint there is, this rests only on what can't be made wider from inside: a mount of
 * that part of the tree, which the caller could look at and write to in any case; or the cgroup that
 * its init, or it itself, is in.
 *
 * @param init the first process of the caller's pid namespace; `undefined` if that is the host's
 * @param entered whether the caller shares init's mount namespace: one that came in from outside
 * @returns a cgroup, or `/` where nothing is known to be its own: then it is shown nothing
 */
export function ownRootOf(caller: Place, init: Place | undefined, entered: boolean): string {
  const mounted = innermost(caller.mounts.writable, caller.path);
  if (mounted !== undefined) return mounted;
  if (init === undefined) return nearestScope(caller.path)?.path ?? caller.path;
  const led = init.path.endsWith(INIT_SCOPE) ? init.path.slice(0, -INIT_SCOPE.length) : init.path;
  if (led !== "" && isAtOrBelow(caller.path, led)) return led;
  if (entered) return innermost(init.mounts.writable, init.path) ?? (led || "/");
  return caller.path;
}

/** Whether a process of the host's own namespaces is in a container all the same. */
export function isContained(caller: Place): boolean {
  const { path, mounts } = caller;
  return innermost(mounts.seen, path) !== undefined || nearestScope(path) !== undefined;
}

/** The innermost of these parts of the tree that `path` is in; the whole tree is none. */
function innermost(roots: readonly string[], path: string): string | undefined {
  let found: string | undefined;
  for (const root of roots) {
    if (root === "/" || !isAtOrBelow(path, root)) continue;
    if (found === undefined || root.length > found.length) found = root;
  }
  return found;
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
 * network namespace), which here would be the server. Descriptors are not fetched from a caller: what
 * is not the one that was meant may never let itself be closed (docs/security.md).
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

/**
 * Files that mean something to the host where no limit of the own cgroup bounds them: by their class
 * the host's rules tell the packets of one container from another's.
 */
export function isOutsideDelegation(file: string): boolean {
  return file === "net_cls.classid";
}

/**
 * The number that is written to a file that moves processes, as the kernel reads it: decimal, octal
 * with a leading 0, or hexadecimal. `undefined` if it is none (EINVAL).
 */
export function parsePid(text: string): number | undefined {
  const [, sign, hex, digits = ""] =
    /^\s*([+-]?)(?:0x([0-9a-f]{1,8})|(\d{1,11}))\s*$/i.exec(text) ?? [];
  const octal = /^0[0-7]+$/.test(digits);
  if (hex === undefined && !octal && /^0\d/.test(digits)) return undefined;
  const pid = Number.parseInt(hex ?? digits, hex !== undefined ? 16 : octal ? 8 : 10);
  if (sign === "-" && pid !== 0) return undefined;
  return pid <= 0x7fffffff ? pid : undefined;
}
