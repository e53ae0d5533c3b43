/**
 * The shape of the mount: which names there are, and which file each number means. A file's number
 * ("local") is a fixed function of its path:
 *
 *     1..127              directories and views (index.ts)
 *     128..511            the host's files of sys/devices/system/cpu (host_paths.ts)
 *     (cpu+1)*512 + i     cpuN and the files in it
 *     2^20 + node*4096+i  nodeN and the files in it; from i = 64 on its links to CPUs
 */
import { DIRECTORIES, VARIANTS, VIEWS } from "./index.ts";
import { CPU_PATHS, CPU_TOP_PATHS, HIDDEN_CPU_PATHS, NODE_PATHS } from "./sys/host_paths.ts";
import type { View } from "./view.ts";

export type Kind = "directory" | "file" | "link";

/** What a number means. */
export interface Item {
  readonly kind: Kind;
  /** Path below the mount, as on the host below `/`, but for the numbers of CPUs. */
  readonly path: string;
  readonly view?: View;
  /** Of files in a CPU's directory: the container's number of that CPU. */
  readonly cpu?: number;
  /** Of files in a NUMA node's directory: the node's number. */
  readonly node?: number;
  /** Path below the CPU's or node's directory; empty for the directory itself. */
  readonly name?: string;
  /** Whether it is shown only where the host has it, with the host's mode. */
  readonly ofHost: boolean;
}

/** Which CPUs and nodes there are: what decides if a name exists. */
export interface Presence {
  readonly cpuCount: number;
  readonly nodes: readonly number[];
}

export const ROOT = 1;
/** Each container's own view of everything, for the host. */
export const CONTAINERS = 9;
/** The cgroup tree: what is in it is another part's business (src/cgroup_tree). */
export const CGROUP = 13;
/** Links from pids to containers; a link's own number, whose owner is the pid. */
export const PIDS = 11;
export const PID_LINK = 12;
/** A file of one byte that asks nobody anything: what a read costs before there is anything to say. */
export const NULL_FILE = 10;
const CPU_DIRECTORY = 7;
const NODE_DIRECTORY = 8;
const CPU_TOP_BASE = 128;
const PER_CPU = 512;
const NODE_BASE = 2 ** 20;
const PER_NODE = 4096;
const NODE_CPU_LINKS = 64;
/** Index 0 within a CPU or node is the directory itself. */
const FIRST_PATH = 1;

interface StaticEntry {
  readonly local: number;
  readonly item: Item;
}

const statics = new Map<number, Item>();
const children = new Map<number, Map<string, number>>();

function addStatic({ local, item }: StaticEntry): void {
  if (statics.has(local)) throw new Error(`Cannot give ${item.path} the number ${local}: taken`);
  statics.set(local, item);
  if (local === ROOT) return;
  const slash = item.path.lastIndexOf("/");
  const parentPath = item.path.slice(0, Math.max(0, slash));
  for (const [parent, { path, kind }] of statics) {
    if (kind !== "directory" || path !== parentPath) continue;
    const names = children.get(parent) ?? new Map<string, number>();
    names.set(item.path.slice(slash + 1), local);
    children.set(parent, names);
    return;
  }
  throw new Error(`Cannot place ${item.path}: no directory ${parentPath}`);
}

for (const { local, path } of DIRECTORIES) {
  addStatic({ local, item: { kind: "directory", path, ofHost: false } });
}
statics.set(PID_LINK, { kind: "link", path: "containers/pid/*", ofHost: false });
addStatic({ local: NULL_FILE, item: { kind: "file", path: ".null", ofHost: false } });
for (const view of VIEWS) {
  addStatic({ local: view.local, item: { kind: "file", path: view.path, view, ofHost: false } });
}
for (const view of VARIANTS) {
  if (statics.has(view.local)) throw new Error(`Cannot use the number ${view.local} twice`);
  statics.set(view.local, { kind: "file", path: view.path, view, ofHost: false });
}
for (const [index, listed] of CPU_TOP_PATHS.entries()) {
  const kind = listed.endsWith("/") ? "directory" : "file";
  const name = kind === "directory" ? listed.slice(0, -1) : listed;
  const path = `sys/devices/system/cpu/${name}`;
  addStatic({ local: CPU_TOP_BASE + index, item: { kind, path, name, ofHost: true } });
}

/** Names below a CPU's or node's directory, by directory: name -> index in the list. */
interface PathTable {
  readonly paths: readonly string[];
  readonly byDirectory: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

function pathTable(paths: readonly string[], hidden?: RegExp): PathTable {
  const byDirectory = new Map<string, Map<string, number>>();
  for (const [index, listed] of paths.entries()) {
    if (hidden?.test(listed) === true) continue;
    const path = listed.replace(/\/$/, "");
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, Math.max(0, slash));
    const names = byDirectory.get(directory) ?? new Map<string, number>();
    names.set(path.slice(slash + 1), index);
    byDirectory.set(directory, names);
  }
  return { paths, byDirectory };
}

const CPU_TABLE = pathTable(CPU_PATHS, HIDDEN_CPU_PATHS);
const NODE_TABLE = pathTable(NODE_PATHS);
const LINKS = /^(?:subsystem|node\d+)$/;

/** What `local` means, or `undefined` if no file ever had that number. */
export function itemOf(local: number): Item | undefined {
  if (local < PER_CPU) return statics.get(local);
  if (local < NODE_BASE) {
    const cpu = Math.floor(local / PER_CPU) - 1;
    return inner(CPU_TABLE, local % PER_CPU, `sys/devices/system/cpu/cpu${cpu}`, { cpu });
  }
  const node = Math.floor((local - NODE_BASE) / PER_NODE);
  const index = (local - NODE_BASE) % PER_NODE;
  const directory = `sys/devices/system/node/node${node}`;
  if (index >= NODE_CPU_LINKS) {
    const name = `cpu${index - NODE_CPU_LINKS}`;
    return { kind: "link", path: `${directory}/${name}`, node, name, ofHost: false };
  }
  return inner(NODE_TABLE, index, directory, { node });
}

function inner(
  table: PathTable,
  index: number,
  directory: string,
  whose: { cpu: number } | { node: number },
): Item | undefined {
  if (index === 0) return { kind: "directory", path: directory, name: "", ...whose, ofHost: false };
  const listed = table.paths[index - FIRST_PATH];
  if (listed === undefined) return undefined;
  const name = listed.replace(/\/$/, "");
  const kind = listed.endsWith("/") ? "directory" : LINKS.test(name) ? "link" : "file";
  return { kind, path: `${directory}/${name}`, name, ...whose, ofHost: true };
}

/** The number of `name` in the directory `local`, or `undefined` if there is no such name. */
export function childOf(local: number, name: string, presence: Presence): number | undefined {
  if (local < PER_CPU) {
    const known = children.get(local)?.get(name);
    if (known !== undefined) return known;
    if (local === CPU_DIRECTORY) {
      const cpu = numbered(name, "cpu");
      return cpu < presence.cpuCount ? (cpu + 1) * PER_CPU : undefined;
    }
    if (local === NODE_DIRECTORY) {
      const node = numbered(name, "node");
      return presence.nodes.includes(node) ? NODE_BASE + node * PER_NODE : undefined;
    }
    return undefined;
  }
  const item = itemOf(local);
  if (item?.kind !== "directory") return undefined;
  const base = baseOf(local);
  const table = item.cpu === undefined ? NODE_TABLE : CPU_TABLE;
  const index = table.byDirectory.get(item.name ?? "")?.get(name);
  return index === undefined ? undefined : base + FIRST_PATH + index;
}

/** The link to CPU `cpu` (the container's number) in the directory of a node. */
export function cpuLinkOf(node: number, cpu: number): number {
  return NODE_BASE + node * PER_NODE + NODE_CPU_LINKS + cpu;
}

/** Names in the directory `local` and their numbers, in a fixed order. */
export function childrenOf(local: number, presence: Presence): [string, number][] {
  if (local < PER_CPU) {
    const names = [...(children.get(local) ?? [])];
    if (local === CPU_DIRECTORY) {
      for (let cpu = 0; cpu < presence.cpuCount; cpu++)
        names.push([`cpu${cpu}`, (cpu + 1) * PER_CPU]);
    }
    if (local === NODE_DIRECTORY) {
      for (const node of presence.nodes) names.push([`node${node}`, NODE_BASE + node * PER_NODE]);
    }
    return names;
  }
  const item = itemOf(local);
  if (item?.kind !== "directory") return [];
  const table = item.cpu === undefined ? NODE_TABLE : CPU_TABLE;
  const base = baseOf(local);
  const names = table.byDirectory.get(item.name ?? "") ?? new Map<string, number>();
  return [...names].map(([name, index]) => [name, base + FIRST_PATH + index]);
}

/** Whether the names in this directory depend on whose it is. */
export function isVariable(local: number): boolean {
  return local === CPU_DIRECTORY || local === NODE_DIRECTORY || local >= PER_CPU;
}

function baseOf(local: number): number {
  if (local < NODE_BASE) return local - (local % PER_CPU);
  return local - ((local - NODE_BASE) % PER_NODE);
}

function numbered(name: string, prefix: string): number {
  if (!name.startsWith(prefix)) return NaN;
  const digits = name.slice(prefix.length);
  return /^(?:0|[1-9]\d{0,3})$/.test(digits) ? Number(digits) : NaN;
}
