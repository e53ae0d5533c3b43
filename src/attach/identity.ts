/** Which directory below `containers/` is a process's own. */
import { CallerResolver } from "../caller/resolver.ts";
import { ContainerRegistry } from "../caller/registry.ts";
import { detectLayout } from "../cgroup/layout.ts";
import type { Hierarchy } from "../cgroup/types.ts";
import { SystemClock } from "../sys/clock.ts";
import { readPageBytes } from "../host/page_size.ts";
import { readFile } from "../sys/read.ts";

/** @returns `undefined` for a process that is in no container, or gone */
export type ContainerNameOf = (pid: number) => string | undefined;

const MAX_CONTAINERS = 64;

export interface ContainerNames {
  readonly nameOf: ContainerNameOf;
  /** The same of the cgroup right above the container's: in Kubernetes, its pod's. */
  readonly nameAbove: ContainerNameOf;
  close(): void;
}

/**
 * Asks as the server does when that process reads, so that both come to the same container.
 * Holds descriptors: close it.
 */
export function containerNames(procRoot: string): ContainerNames {
  const layout = detectLayout(readFile(`${procRoot}/self/mountinfo`));
  const registry = new ContainerRegistry({
    ...{ procRoot, layout, root: "" },
    maxContainers: MAX_CONTAINERS,
    pageBytes: readPageBytes(procRoot),
  });
  const resolver = new CallerResolver({
    ...{ procRoot, layout, registry, clock: new SystemClock() },
    freshnessMs: 0,
    maxNamespaces: MAX_CONTAINERS,
  });
  return {
    nameOf: (pid) => resolver.resolve(pid)?.name,
    nameAbove: (pid) => {
      const own = resolver.resolve(pid)?.paths ?? new Map<Hierarchy, string>();
      const above = [...own].map(
        ([hierarchy, path]) => [hierarchy, path.slice(0, path.lastIndexOf("/")) || "/"] as const,
      );
      return registry.at(new Map(above), undefined)?.name;
    },
    close: () => {
      resolver.close();
      for (const container of registry.known()) container.close();
    },
  };
}
