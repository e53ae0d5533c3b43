/**
 * Where a container begins: from what the kernel says of a process to the cgroup that bounds its
 * container. A pure decision; reading is done by `resolver.ts`.
 */
import { nearestScope } from "./scope.ts";

/** What is known of one process in one hierarchy. Paths are the host's. */
export interface ProcessPlace {
  /** Its cgroup. */
  readonly path: string;
  /** Roots of the cgroup mounts of this hierarchy that it sees: its cgroup namespace shows there. */
  readonly mountRoots: readonly string[];
}

/** Whether `path` is `ancestor` or below it. */
export function isAtOrBelow(path: string, ancestor: string): boolean {
  return (
    ancestor === "/" ||
    path === ancestor ||
    (path.startsWith(ancestor) && path[ancestor.length] === "/")
  );
}

/** systemd moves itself from a container's top cgroup into this child. */
const INIT_SCOPE = "/init.scope";

/**
 * The container that a process itself is in, or `undefined` if none can be told.
 * In this order: the root of its cgroup namespace or of the part of the tree that is mounted for it;
 * the nearest cgroup that is named as a runtime names containers.
 */
export function ownContainerPath(place: ProcessPlace): string | undefined {
  let innermost: string | undefined;
  for (const root of place.mountRoots) {
    if (root === "/" || !isAtOrBelow(place.path, root)) continue;
    if (innermost === undefined || root.length > innermost.length) innermost = root;
  }
  const scope = nearestScope(place.path)?.path;
  // A scope below the mounted root is a container in a container that has the outer one's mounts.
  if (innermost !== undefined && scope !== undefined && isAtOrBelow(scope, innermost)) return scope;
  return innermost ?? scope;
}

/** The container that is led by `init`, the first process of a pid namespace. */
export function containerPathOfInit(init: ProcessPlace): string | undefined {
  const own = ownContainerPath(init);
  if (own !== undefined) return own;
  const stripped = init.path.endsWith(INIT_SCOPE)
    ? init.path.slice(0, -INIT_SCOPE.length)
    : init.path;
  return stripped === "/" || stripped === "" ? undefined : stripped;
}

/**
 * The container of a caller.
 *
 * @param caller the process that reads
 * @param init the first process of its pid namespace; `undefined` if that is the host's
 * @returns the path of the container's cgroup, or `undefined` for "the host"
 */
export function containerPathOf(
  caller: ProcessPlace,
  init: ProcessPlace | undefined,
): string | undefined {
  if (init === undefined) return ownContainerPath(caller);
  const led = containerPathOfInit(init);
  if (led !== undefined && isAtOrBelow(caller.path, led)) return led;
  // The pid namespace is shared with a container elsewhere (a pod's pause), or the caller came in
  // from outside (nsenter) and kept its cgroup.
  const own = ownContainerPath(caller);
  if (own !== undefined) return own;
  for (const root of caller.mountRoots) if (root !== "/" && root === led) return root;
  return led;
}
