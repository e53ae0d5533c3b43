/**
 * Who is asking: from the thread id in a FUSE request to the container it is in.
 *
 * What the kernel says of a thread (its pid namespace, its cgroups) is read at most once in
 * `freshnessMs`; what follows from it is remembered for as long as the kernel says the same.
 */
import { closeSync, openSync } from "node:fs";
import type { CgroupLayout } from "../cgroup/layout.ts";
import { cgroupPaths } from "../cgroup/paths.ts";
import type { Hierarchy } from "../cgroup/types.ts";
import { parseMountinfo } from "../host/mountinfo.ts";
import { statusNumber } from "../host/proc_status.ts";
import type { Clock } from "../sys/clock.ts";
import { opening } from "../sys/exhaustion.ts";
import { HeldFile } from "../sys/held_file.ts";
import type { HostPid, PidNamespaceId } from "../sys/ids.ts";
import { tryReadFile } from "../sys/read.ts";
import type { Container } from "./container.ts";
import { containerPathOf, type ProcessPlace } from "./container_path.ts";
import { InTurn } from "./in_turn.ts";
import { initOfPidNamespace, pidNamespaceOf } from "./pid_namespace.ts";
import type { ContainerRegistry } from "./registry.ts";

export interface ResolverOptions {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly registry: ContainerRegistry;
  readonly clock: Clock;
  /** How long an answer for the same thread id may be repeated, in milliseconds; 0: never. */
  readonly freshnessMs: number;
  readonly maxNamespaces: number;
}

/** A pid namespace that callers come from. The descriptor keeps its number from being used again. */
interface KnownNamespace {
  readonly fd: number;
  readonly init: HostPid | undefined;
  /** The init's /proc/<pid>/cgroup; ends to be readable when it dies. */
  readonly initCgroup: HeldFile | undefined;
  initText: string | undefined;
  /** By text of the caller's /proc/<pid>/cgroup: its container. */
  readonly containers: Map<string, Container | undefined>;
}

/** Roots of cgroup mounts by superblock options; cgroup2's under the empty name. */
type MountRoots = ReadonlyMap<string, readonly string[]>;

const MAX_PLACES_PER_NAMESPACE = 256;
/** With each new namespace so many others are looked at whether they still live. */
const LOOK_AT = 8;

export class CallerResolver {
  readonly #options: ResolverOptions;
  readonly #hostNamespace: PidNamespaceId | undefined;
  readonly #namespaces = new Map<PidNamespaceId, KnownNamespace>();
  readonly #inTurn = new InTurn(this.#namespaces);
  #recent = new Map<number, Container | undefined>();
  #recentUntilMs = 0;

  constructor(options: ResolverOptions) {
    this.#options = options;
    // The server's own: /proc/1/ns may be unreadable even for root.
    this.#hostNamespace = pidNamespaceOf(options.procRoot, process.pid);
  }

  /**
   * The container that thread `tid` is in.
   * @returns `undefined` for callers in no container, and for those that are gone already
   */
  resolve(tid: number): Container | undefined {
    const { clock, freshnessMs } = this.#options;
    const nowMs = clock.monotonicMs();
    if (nowMs >= this.#recentUntilMs) {
      this.#recent.clear();
      this.#recentUntilMs = nowMs + freshnessMs;
    } else {
      const known = this.#recent.get(tid);
      if (known !== undefined || this.#recent.has(tid)) return known;
    }
    const container = this.#ask(tid);
    if (freshnessMs > 0) this.#recent.set(tid, container);
    return container;
  }

  /** Pid namespaces that are known. */
  get size(): number {
    return this.#namespaces.size;
  }

  /** Gives all descriptors back. */
  close(): void {
    for (const namespace of this.#namespaces.values()) closeNamespace(namespace);
    this.#namespaces.clear();
    this.#recent.clear();
  }

  #ask(tid: number): Container | undefined {
    const { procRoot } = this.#options;
    // A caller outside of our pid namespace has the number 0: nothing is known of it.
    const id = tid > 0 ? pidNamespaceOf(procRoot, tid) : undefined;
    const text = tid > 0 ? tryReadFile(`${procRoot}/${tid}/cgroup`) : undefined;
    if (id === undefined || text === undefined) return undefined;
    const namespace = this.#namespace(id, tid);
    const initText = namespace.initCgroup?.read();
    if (initText !== namespace.initText) {
      namespace.initText = initText;
      namespace.containers.clear();
    }
    const known = namespace.containers.get(text);
    // A cgroup that was removed and made again is another container under the same text.
    if (known?.cgroups.alive() || (known === undefined && namespace.containers.has(text))) {
      return known && this.#options.registry.keep(known);
    }
    const container = this.#find(tid, text, namespace);
    // Who has ended meanwhile has shown nothing of what is mounted for it.
    if (pidNamespaceOf(procRoot, tid) !== id) return undefined;
    if (namespace.containers.size >= MAX_PLACES_PER_NAMESPACE) namespace.containers.clear();
    namespace.containers.set(text, container);
    return container;
  }

  #find(tid: number, text: string, namespace: KnownNamespace): Container | undefined {
    const { layout, registry } = this.#options;
    const callerPlaces = this.#places(tid, text);
    const initPlaces =
      namespace.init !== undefined && namespace.initText !== undefined
        ? this.#initPlaces(namespace.init, namespace.initText)
        : undefined;
    const paths = new Map<Hierarchy, string>();
    let initLeads = false;
    for (const hierarchy of layout.hierarchies) {
      const caller = callerPlaces.get(hierarchy);
      if (caller === undefined) continue;
      const init = initPlaces?.get(hierarchy);
      const path = containerPathOf(caller, init);
      if (path === undefined) continue;
      paths.set(hierarchy, path);
      initLeads ||= init !== undefined && (init.path === path || init.path.startsWith(`${path}/`));
    }
    return registry.at(paths, initLeads ? namespace.init : undefined);
  }

  /** A process's cgroup in each hierarchy, and what of each hierarchy is mounted for it. */
  #places(pid: number, cgroupText: string, inherited?: MountRoots): Map<Hierarchy, ProcessPlace> {
    const { layout } = this.#options;
    const roots = this.#mountRoots(pid);
    const places = new Map<Hierarchy, ProcessPlace>();
    for (const [hierarchy, path] of cgroupPaths(layout, cgroupText)) {
      const given = inherited && rootsOf(inherited, hierarchy);
      const mountRoots = rootsOf(roots, hierarchy).filter(
        (root) => !given?.includes(root) || root === path || `${root}/init.scope` === path,
      );
      places.set(hierarchy, { path, mountRoots });
    }
    return places;
  }

  /**
   * The same for the first process of a pid namespace. What its parent sees as well was mounted for
   * the container around it, and does not say where this one begins; unless it is this one's own cgroup
   * (unshare(1) makes a container and stays its init's parent, with the same mounts).
   */
  #initPlaces(init: HostPid, cgroupText: string): Map<Hierarchy, ProcessPlace> {
    const { procRoot } = this.#options;
    const status = tryReadFile(`${procRoot}/${init}/status`);
    const parent = status === undefined ? undefined : statusNumber(status, "PPid");
    return this.#places(init, cgroupText, parent ? this.#mountRoots(parent) : undefined);
  }

  #mountRoots(pid: number): MountRoots {
    const roots = new Map<string, string[]>();
    const mountinfo = tryReadFile(`${this.#options.procRoot}/${pid}/mountinfo`) ?? "";
    const lines = mountinfo.split("\n").filter((line) => line.includes(" - cgroup"));
    for (const mount of parseMountinfo(lines.join("\n"))) {
      const name = mount.type === "cgroup2" ? "" : mount.superOptions;
      roots.set(name, [...(roots.get(name) ?? []), mount.root]);
    }
    return roots;
  }

  #namespace(id: PidNamespaceId, member: number): KnownNamespace {
    const known = this.#namespaces.get(id);
    if (known !== undefined) return known;
    const { procRoot, maxNamespaces } = this.#options;
    let fd = -1;
    let init: HostPid | undefined;
    if (id !== this.#hostNamespace) {
      try {
        fd = opening(() => openSync(`${procRoot}/${member}/ns/pid`, "r"));
        init = initOfPidNamespace(procRoot, fd, member as HostPid);
      } catch {
        // The member is gone already; the next caller of this namespace will do.
      }
    }
    const initCgroup =
      init === undefined
        ? undefined
        : new HeldFile(`${procRoot}/${init}/cgroup`, { onlyThisOne: true });
    const namespace: KnownNamespace = {
      fd,
      init,
      initCgroup,
      initText: undefined,
      containers: new Map(),
    };
    // One whose first process was not found is looked at anew by the next caller.
    if (id !== this.#hostNamespace && init === undefined) {
      closeNamespace(namespace);
      return { ...namespace, fd: -1 };
    }
    this.forgetDead();
    if (this.#namespaces.size >= maxNamespaces) this.#forgetOldest();
    this.#namespaces.set(id, namespace);
    return namespace;
  }

  /** With its first process a namespace dies; its descriptors would stay for ever. @param most to look at */
  forgetDead(most: number = LOOK_AT): void {
    const { procRoot } = this.#options;
    this.#inTurn.some(most, (namespace, id) => {
      // One that nobody has waited for yet is in no namespace any more.
      const { init } = namespace;
      const isAlive = init !== undefined && pidNamespaceOf(procRoot, init) === id;
      if (isAlive || id === this.#hostNamespace) return;
      this.#namespaces.delete(id);
      closeNamespace(namespace);
    });
  }

  #forgetOldest(): void {
    const oldest = this.#namespaces.entries().next().value;
    if (oldest === undefined) return;
    this.#namespaces.delete(oldest[0]);
    closeNamespace(oldest[1]);
  }
}

function rootsOf(roots: MountRoots, hierarchy: Hierarchy): string[] {
  const [first = ""] = hierarchy.controllers;
  const found: string[] = [];
  for (const [name, each] of roots) {
    const same = hierarchy.version === 2 ? name === "" : name.split(",").includes(first);
    if (same) found.push(...each);
  }
  return found;
}

function closeNamespace(namespace: KnownNamespace): void {
  namespace.initCgroup?.close();
  if (namespace.fd >= 0) closeSync(namespace.fd);
}
