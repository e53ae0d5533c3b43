/**
 * The mount's content for one serving thread: who asks (caller/), what that one's machine is
 * (machine/), how it reads (views/), put together for the file mechanics (vfs/).
 */
import { readlinkSync, statSync } from "node:fs";
import type { Container } from "../caller/container.ts";
import type { ContainerKey } from "../caller/container_key.ts";
import type { ContainerRegistry } from "../caller/registry.ts";
import type { CallerResolver } from "../caller/resolver.ts";
import type { Host } from "../machine/host.ts";
import type { Machine } from "../machine/machine.ts";
import { isLinux32, readPersonality } from "../host/personality.ts";
import type { FoundNode, ListedNode, NodeSource } from "../vfs/node_source.ts";
import { cpuinfo, cpuinfo32 } from "../views/proc/cpuinfo.ts";
import type { Renderer } from "../views/renderer.ts";
import {
  CGROUP,
  childOf,
  childrenOf,
  CONTAINERS,
  cpuLinkOf,
  isVariable,
  itemOf,
  NULL_FILE,
  PID_LINK,
  PIDS,
  ROOT,
  type Item,
  type Presence,
} from "../views/tree.ts";
import { ContainersDirectory } from "./containers_directory.ts";
import { HostParts } from "./host_parts.ts";

export interface SourceParts {
  readonly resolver: Pick<CallerResolver, "resolve">;
  readonly registry: Pick<ContainerRegistry, "get" | "known">;
  readonly renderer: Renderer;
  readonly host: Host;
  readonly machineOf: (container: Container) => Machine;
  /** Whether everyone is to be shown the host's values for now (SIGUSR2). */
  readonly hostView: () => boolean;
  /** Whether the request cannot wait for a text to be made. */
  readonly late: () => boolean;
  /** The text that was made last of a reader's file, by whichever thread. */
  readonly lastText: (reader: number, local: number) => Buffer | undefined;
  /** Whether there is a directory for the cgroup tree. */
  readonly cgroupTree: boolean;
}

const HOST = 0;
/** One byte, so that it is read to its end with as many requests as any file. */
const NULL_TEXT = Buffer.from("\n");
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
/**
 * Size shown by stat: sysfs's own for all files. procfs shows 0; but for a file of size 0 the kernel
 * answers sendfile(2) with "end of file" itself, and busybox's cat would print nothing. A longer
 * text has its length rounded up to a multiple of this: Node.js's readFileSync takes no more than
 * stat says, and tail, which begins to read 8 KiB before the end, finds nothing there of a text that
 * is much shorter.
 */
const FILE_BYTES = 4096;
/** A text may be so much longer when it is read than when it was measured. */
const GROWTH_BYTES = 64;
/** A text of the host from this length on may come to be longer than `FILE_BYTES`, as counters grow. */
const LONG_BYTES = 3072;
/** What never changes may be taken for granted for a day at a time. */
const FIXED_SECONDS = 86_400;
/**
 * For names that some callers must not find: what one caller was told must not be taken for granted
 * when another asks.
 */
const ASK_AGAIN = 0;

/** Added to a reader's key: its process is a 32-bit one. Keys are below 2^43. */
const READS_AS_32 = 2 ** 48;

/** The container's key in what `reader` returns. */
export function containerOf(reader: number): number {
  return reader % READS_AS_32;
}

/** Only arm64 shows 32-bit processes another CPU. Whose personality may not be looked at sees ours. */
function readsAs32(pid: number): boolean {
  if (process.arch !== "arm64") return false;
  return isLinux32(readPersonality("/proc", pid) ?? 0);
}

export class ContainerSource implements NodeSource {
  readonly #parts: SourceParts;
  readonly #hostParts: HostParts;
  readonly #containers: ContainersDirectory;
  /** Whether the text of a file, by its number, can be longer than `FILE_BYTES`. */
  readonly #long = new Map<number, boolean>();

  constructor(parts: SourceParts) {
    this.#parts = parts;
    this.#hostParts = new HostParts(parts.host, parts.machineOf);
    this.#containers = new ContainersDirectory(parts.registry, parts.resolver);
  }

  stat(owner: number, local: number, pid: number): FoundNode | undefined {
    if (local === PID_LINK) return this.#containers.link(owner);
    const item = itemOf(local);
    if (item === undefined) return undefined;
    if (owner !== HOST && local === ROOT && this.#container(owner) === undefined) return undefined;
    return this.#sized(
      this.#found(owner, local, item, () => this.#whose(owner, pid)),
      pid,
    );
  }

  lookup(owner: number, local: number, name: string, pid: number): FoundNode | undefined {
    if (local === PIDS || (local === CONTAINERS && name !== "pid")) {
      if (this.#whose(HOST, pid) !== undefined) return undefined;
      return local === PIDS ? this.#containers.findLink(name) : this.#lookupContainer(name);
    }
    const child = this.#child(owner, local, name, pid);
    const item = child === undefined ? undefined : itemOf(child);
    if (child === undefined || item === undefined) return undefined;
    if (child === CGROUP && (owner !== HOST || !this.#parts.cgroupTree)) return undefined;
    return this.#sized(
      this.#found(owner, child, item, () => this.#whose(owner, pid)),
      pid,
    );
  }

  list(owner: number, local: number, pid: number): readonly ListedNode[] {
    if (local === PIDS) return [];
    if (local === CONTAINERS) {
      return this.#whose(HOST, pid) === undefined ? this.#containers.list() : [];
    }
    const whose = this.#whose(owner, pid);
    const presence = this.#hostParts.presence(whose);
    const listed: ListedNode[] = [];
    for (const [name, child] of childrenOf(local, presence)) {
      if (isHostOnly(child) && (owner !== HOST || whose !== undefined)) continue;
      if (child === CGROUP && (owner !== HOST || !this.#parts.cgroupTree)) continue;
      const item = itemOf(child);
      const found = item && this.#found(owner, child, item, () => whose);
      if (found !== undefined) listed.push({ name, owner, local: child, mode: found.mode });
    }
    const item = itemOf(local);
    if (item?.node !== undefined && item.name === "") {
      for (const cpu of this.#hostParts.nodeCpus(whose, item.node)) {
        const link = cpuLinkOf(item.node, cpu);
        listed.push({ name: `cpu${cpu}`, owner, local: link, mode: S_IFLNK | 0o777 });
      }
    }
    return listed;
  }

  readlink(owner: number, local: number, pid: number): string | undefined {
    if (local === PID_LINK) return this.#containers.linkTarget(owner);
    const item = itemOf(local);
    if (item?.kind !== "link") return undefined;
    if (!item.ofHost) return `../../cpu/${item.name}`;
    const path = this.#hostParts.pathOf(item, this.#whose(owner, pid));
    return path && readlinkSync(path);
  }

  reader(owner: number, local: number, pid: number): number {
    const reader = this.#reader(owner, local, pid);
    return local === cpuinfo.local && readsAs32(pid) ? reader + READS_AS_32 : reader;
  }

  #reader(owner: number, local: number, pid: number): number {
    if (owner !== HOST || local === NULL_FILE) return owner;
    if (this.#parts.hostView()) return HOST;
    return this.#parts.resolver.resolve(pid)?.key ?? HOST;
  }

  text(reader: number, local: number): Buffer | undefined {
    if (reader >= READS_AS_32) return this.text(containerOf(reader), cpuinfo32.local);
    const { renderer } = this.#parts;
    if (local === NULL_FILE) return NULL_TEXT;
    if (reader !== HOST && this.#parts.late()) {
      const last = this.#parts.lastText(reader, local);
      if (last !== undefined) return last;
    }
    if (reader === HOST || this.#parts.hostView()) return renderer.text(undefined, local);
    // Most reads end here: what follows costs a look at the cgroup, more than all before it.
    const fresh = renderer.fresh(reader, local);
    if (fresh !== undefined) return fresh;
    const container = this.#container(reader);
    // Gone between two reads: what was last known of it, else the host's.
    if (container === undefined)
      return renderer.last(reader, local) ?? renderer.text(undefined, local);
    return renderer.text(container, local);
  }

  /** Of a file that can be long, the size of what the caller would read now: not to be remembered. */
  #sized(found: FoundNode | undefined, pid: number): FoundNode | undefined {
    if (found === undefined || found.size === 0 || !this.#canBeLong(found.local)) return found;
    const text = this.text(this.reader(found.owner, found.local, pid), found.local);
    const size = Math.ceil(((text?.length ?? 0) + GROWTH_BYTES) / FILE_BYTES) * FILE_BYTES;
    return { ...found, size, attributesSeconds: ASK_AGAIN };
  }

  /** No container's text is longer than the host's. */
  #canBeLong(local: number): boolean {
    let long = this.#long.get(local);
    if (long === undefined) {
      const text = itemOf(local)?.view && this.#parts.renderer.text(undefined, local);
      long = text !== undefined && text.length > LONG_BYTES;
      this.#long.set(local, long);
    }
    return long;
  }

  #container(owner: number): Container | undefined {
    return this.#parts.registry.get(owner as ContainerKey);
  }

  /** The container that decides which names there are; `undefined`: the host. */
  #whose(owner: number, pid: number): Container | undefined {
    if (owner !== HOST) return this.#container(owner);
    return this.#parts.hostView() ? undefined : this.#parts.resolver.resolve(pid);
  }

  #child(owner: number, local: number, name: string, pid: number): number | undefined {
    if (!isVariable(local) && local !== ROOT) return childOf(local, name, NOBODY);
    const whose = this.#whose(owner, pid);
    const child = childOf(local, name, this.#hostParts.presence(whose));
    // What others see is the host's business alone.
    if (child !== undefined && isHostOnly(child) && (owner !== HOST || whose !== undefined)) {
      return undefined;
    }
    const item = itemOf(local);
    if (child === undefined && item?.node !== undefined && item.name === "") {
      const cpu = Number(/^cpu(\d+)$/.exec(name)?.[1] ?? NaN);
      if (this.#hostParts.nodeCpus(whose, item.node).includes(cpu))
        return cpuLinkOf(item.node, cpu);
    }
    return child;
  }

  #found(
    owner: number,
    local: number,
    item: Item,
    whose: () => Container | undefined,
  ): FoundNode | undefined {
    const validSeconds = isVariable(local) ? 0 : FIXED_SECONDS;
    if (!item.ofHost) {
      if (isHostOnly(local)) {
        return { owner, local, mode: S_IFDIR | 0o700, size: 0, validSeconds: ASK_AGAIN };
      }
      if (local === ROOT && owner !== HOST) {
        return { owner, local, mode: S_IFDIR | 0o555, size: 0, validSeconds: ASK_AGAIN };
      }
      const size = item.kind === "file" ? FILE_BYTES : 0;
      return { owner, local, mode: typeBits(item) | permissions(item), size, validSeconds };
    }
    const path = this.#hostParts.pathOf(item, whose());
    // Links, too: a node that the CPU belongs to must be one that the container has.
    const stats = path && statSync(path, { throwIfNoEntry: false });
    if (!stats) return undefined;
    const size = item.kind === "file" ? FILE_BYTES : 0;
    const mode = item.kind === "link" ? 0o777 : stats.mode & 0o555;
    return { owner, local, mode: typeBits(item) | mode, size, validSeconds };
  }

  #lookupContainer(name: string): FoundNode | undefined {
    const key = this.#containers.find(name);
    const item = itemOf(ROOT);
    return key && item && this.#found(key, ROOT, item, () => undefined);
  }
}

/** Directories that show one container to others: the host's business alone. */
function isHostOnly(local: number): boolean {
  return local === CONTAINERS || local === PIDS;
}

const NOBODY: Presence = { cpuCount: 0, nodes: [] };

function typeBits(item: Item): number {
  if (item.kind === "directory") return S_IFDIR;
  return item.kind === "link" ? S_IFLNK : S_IFREG;
}

function permissions(item: Item): number {
  if (item.kind === "directory") return 0o555;
  return item.kind === "link" ? 0o777 : (item.view?.mode ?? 0o444);
}
