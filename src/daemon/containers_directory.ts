/** What lies in `containers/`: a directory for each container, and links to them by process. */
import { keyToName, nameToKey, type ContainerKey } from "../caller/container_key.ts";
import type { ContainerRegistry } from "../caller/registry.ts";
import type { CallerResolver } from "../caller/resolver.ts";
import type { FoundNode, ListedNode } from "../vfs/node_source.ts";
import { PID_LINK, ROOT } from "../views/tree.ts";

const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

export class ContainersDirectory {
  readonly #registry: Pick<ContainerRegistry, "get" | "known">;
  readonly #resolver: Pick<CallerResolver, "resolve">;

  constructor(
    registry: Pick<ContainerRegistry, "get" | "known">,
    resolver: Pick<CallerResolver, "resolve">,
  ) {
    this.#registry = registry;
    this.#resolver = resolver;
  }

  /** The living container of that name. */
  find(name: string): ContainerKey | undefined {
    const key = nameToKey(name);
    return key !== undefined && this.#registry.get(key) !== undefined ? key : undefined;
  }

  /** Those that have been asked for: every other one is found by its name all the same. */
  list(): ListedNode[] {
    return [...this.#registry.known()]
      .filter((container) => container.cgroups.alive())
      .map(({ key }) => ({ name: keyToName(key), owner: key, local: ROOT, mode: S_IFDIR | 0o555 }));
  }

  /** A link to the container of any process, for those who know only that. */
  findLink(name: string): FoundNode | undefined {
    if (!/^[1-9]\d{0,9}$/.test(name)) return undefined;
    const pid = Number(name);
    return this.#resolver.resolve(pid) && this.link(pid);
  }

  /** Never taken for granted: pids are used again. */
  link(pid: number): FoundNode {
    return { owner: pid, local: PID_LINK, mode: S_IFLNK | 0o777, size: 0, validSeconds: 0 };
  }

  /** Where the link of a process leads. */
  linkTarget(pid: number): string | undefined {
    const key = this.#resolver.resolve(pid)?.key;
    return key === undefined ? undefined : `../${keyToName(key)}`;
  }
}
