/**
 * The containers that this thread knows, by key. Bounded in two ways: when there are too many, the one
 * unused for longest is forgotten, and found again when it is next asked for; when the process has too
 * many descriptors, those unused for longest give theirs back, and open them again when they next read.
 */
import { closeSync, openSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { openContainerCgroups } from "../cgroup/container.ts";
import type { CgroupLayout } from "../cgroup/layout.ts";
import { cgroupDirectory, cgroupId, cgroupPaths, directoryId } from "../cgroup/paths.ts";
import type { CgroupPaths, Hierarchy } from "../cgroup/types.ts";
import { opening } from "../sys/exhaustion.ts";
import { closeFd, openByHandle } from "../sys/native.ts";
import type { HostPid } from "../sys/ids.ts";
import { tryReadFile } from "../sys/read.ts";
import { Container } from "./container.ts";
import { containerKey, identityHierarchies, splitKey, type ContainerKey } from "./container_key.ts";
import { containerPathOf, isAtOrBelow } from "./container_path.ts";
import { InTurn } from "./in_turn.ts";

export interface RegistryOptions {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  /** Prepended to the mount points of the layout. */
  readonly root: string;
  readonly pageBytes: number;
  readonly maxContainers: number;
  /** Each container that reads holds one for each file that is looked at, a dozen or two. */
  readonly descriptors?: DescriptorBound;
}

export interface DescriptorBound {
  /** Descriptors that the process has. */
  readonly count: () => number;
  /** How many it should have at most: what limits it may be changed while it runs. */
  readonly most: () => number;
}

/** Descriptors are counted once in so many uses of containers: that costs a system call. */
const COUNT_EVERY = 256;
/** So many are looked at then, one after the other in turn, whether they still live. */
const LOOK_AT = 4;
/** The part of the containers that gives its descriptors back when there are too many. */
const GIVE_BACK = 1 / 4;

export class ContainerRegistry {
  readonly #options: RegistryOptions;
  readonly #identity: readonly Hierarchy[];
  /** In order of use: the first one is the one unused for longest. */
  readonly #byKey = new Map<ContainerKey, Container>();
  readonly #inTurn = new InTurn(this.#byKey);
  #usesUntilCount = COUNT_EVERY;
  /** Whether so many are known, or so many descriptors open, that order of use matters. */
  #crowded = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#identity = identityHierarchies(options.layout.hierarchies);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /**
   * The container whose cgroups are at `paths`.
   * @returns `undefined` where none of them is a cgroup below the root: that is the host
   */
  at(paths: CgroupPaths, init: HostPid | undefined): Container | undefined {
    for (const hierarchy of this.#identity) {
      const path = paths.get(hierarchy);
      if (path === undefined || path === "/") continue;
      const id = cgroupId(hierarchy, path, this.#options.root);
      const key = id === undefined ? undefined : containerKey(hierarchy, id);
      if (key !== undefined) return this.#use(key) ?? this.#add(key, paths, init);
    }
    return undefined;
  }

  /** The container of a key, looked for among all cgroups if need be; `undefined` if it is gone. */
  get(key: ContainerKey): Container | undefined {
    const known = this.#use(key);
    if (known) {
      if (known.cgroups.alive()) return known;
      this.#byKey.delete(key);
      known.close();
      return undefined;
    }
    const paths = this.#findPaths(key);
    return paths && this.#add(key, paths, undefined);
  }

  /** Whether it is known here: one that has ended is not for long. */
  has(key: ContainerKey): boolean {
    return this.#byKey.has(key);
  }

  /** Those known here, in no order. */
  known(): Iterable<Container> {
    return this.#byKey.values();
  }

  /** Goes on with a container that was found here before, forgotten since or not. */
  keep(container: Container): Container {
    const known = this.#use(container.key);
    if (known !== undefined) return known;
    this.#byKey.set(container.key, container);
    this.#bound();
    return container;
  }

  #use(key: ContainerKey): Container | undefined {
    const known = this.#byKey.get(key);
    if (known === undefined) return undefined;
    if (--this.#usesUntilCount === 0) this.#bound();
    if (this.#crowded) {
      this.#byKey.delete(key);
      this.#byKey.set(key, known);
    }
    return known;
  }

  /** Those that have ended and are asked for no more would stay for ever. @param most to look at */
  forgetDead(most: number = LOOK_AT): void {
    this.#inTurn.some(most, (container, key) => {
      if (container.cgroups.alive()) return;
      this.#byKey.delete(key);
      container.close();
    });
  }

  /** Forgets, and has descriptors given back, as far as need be. */
  #bound(): void {
    this.forgetDead();
    const { maxContainers, descriptors } = this.#options;
    const { size } = this.#byKey;
    this.#usesUntilCount = COUNT_EVERY;
    const open = descriptors?.count() ?? 0;
    const most = descriptors?.most() ?? Infinity;
    this.#crowded = size > maxContainers / 2 || open > most / 2;
    let giveBack = open > most ? Math.ceil(size * GIVE_BACK) : 0;
    for (const [key, container] of this.#byKey) {
      if (this.#byKey.size > maxContainers) this.#byKey.delete(key);
      else if (giveBack-- <= 0) break;
      container.close();
    }
  }

  #add(key: ContainerKey, paths: CgroupPaths, init: HostPid | undefined): Container {
    const { layout, root, procRoot } = this.#options;
    const hierarchy = splitKey(key, layout.hierarchies)?.hierarchy;
    const path = hierarchy && paths.get(hierarchy);
    const directory = hierarchy && path ? cgroupDirectory(hierarchy, path, root) : undefined;
    const cgroups = openContainerCgroups(layout, paths, {
      root,
      pageBytes: this.#options.pageBytes,
    });
    const container = new Container(key, cgroups, directory, procRoot, init);
    this.#byKey.set(key, container);
    this.#bound();
    return container;
  }

  /** A cgroup's id leads to its path in its own hierarchy; its processes tell the others. */
  #findPaths(key: ContainerKey): CgroupPaths | undefined {
    const { layout, root, procRoot } = this.#options;
    const split = splitKey(key, layout.hierarchies);
    if (split === undefined) return undefined;
    const { hierarchy, cgroupId: id } = split;
    const top = root + hierarchy.mountPoint;
    const directory = directoryByHandle(top, id, procRoot) ?? directoryByWalk(top, id);
    if (directory === undefined) return undefined;
    const below = directory.slice(top.length);
    const path = (hierarchy.mountRoot === "/" ? below : hierarchy.mountRoot + below) || "/";
    if (path === "/" || cgroupDirectory(hierarchy, path, root) === undefined) return undefined;
    const paths = new Map<Hierarchy, string>([[hierarchy, path]]);
    for (const member of firstMembers(directory)) {
      const text = tryReadFile(`${procRoot}/${member}/cgroup`);
      if (text === undefined) continue;
      for (const [other, otherPath] of cgroupPaths(layout, text)) {
        if (other === hierarchy) continue;
        const place = { path: otherPath, mountRoots: [] };
        // A cgroup above a container's, as a pod's, is called the same in all hierarchies.
        const contained = isAtOrBelow(otherPath, path) ? path : containerPathOf(place, place);
        if (contained !== undefined) paths.set(other, contained);
      }
      break;
    }
    return paths;
  }
}

/** By the kernel's own handle of a cgroup (since Linux 5.5): one system call, however many there are. */
function directoryByHandle(top: string, id: number, procRoot: string): string | undefined {
  let topFd = -1;
  let fd = -1;
  try {
    topFd = opening(() => openSync(top, "r"));
    fd = openByHandle(topFd, id);
    const directory = readlinkSync(`${procRoot}/self/fd/${fd}`);
    return directoryId(directory) === id ? directory : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd >= 0) closeFd(fd);
    if (topFd >= 0) closeSync(topFd);
  }
}

/** The same in a captured tree, or where file handles are refused. */
function directoryByWalk(top: string, id: number): string | undefined {
  const pending = [top];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    try {
      if (statSync(directory).ino === id) return directory;
      for (const entry of opening(() => readdirSync(directory, { withFileTypes: true }))) {
        if (entry.isDirectory()) pending.push(`${directory}/${entry.name}`);
      }
    } catch {
      // Removed while we walked.
    }
  }
  return undefined;
}

/** Processes of a cgroup or, if it has none of its own, of the first one below it that has. */
function firstMembers(directory: string): string[] {
  const own = tryReadFile(`${directory}/cgroup.procs`)?.trim();
  if (own) return own.split("\n");
  try {
    for (const entry of opening(() => readdirSync(directory, { withFileTypes: true }))) {
      if (!entry.isDirectory()) continue;
      const members = firstMembers(`${directory}/${entry.name}`);
      if (members.length > 0) return members;
    }
  } catch {
    // Removed while we looked.
  }
  return [];
}
