/** Words for cgroup files: which level set a limit, what a level accounts, and what holds where none does. */
import { existsSync } from "node:fs";
import type { Container } from "../../caller/container.ts";
import { type CgroupLayout, hierarchyOf } from "../../cgroup/layout.ts";
import { mainHierarchy } from "../../cgroup/container.ts";
import { cgroupLevels } from "../../cgroup/paths.ts";
import type { Hierarchy } from "../../cgroup/types.ts";
import { baseName, cgroupOf, type Field } from "../field.ts";

/** What is read for an explanation. */
export interface Evidence {
  readonly container: Container;
  readonly layout: CgroupLayout;
  readonly procRoot: string;
  readonly sysRoot: string;
  /** Options of the server; `undefined` where it could not be asked. */
  readonly settings: ServerSettings | undefined;
}

/** Options of the mount that decide contents. */
interface ServerSettings {
  readonly cpuPolicy: string;
  readonly uptime?: string;
  readonly swap: boolean;
  readonly zswap: boolean;
  readonly loadavg: boolean;
}

/** A limit found at some level (types.ts `Limit`, `CpuQuota`). */
interface Found {
  readonly file: string | undefined;
  readonly levels: number;
}

/** The reason of a field, without its name and value. */
export type Why = Pick<Field, "rule"> & Partial<Field>;

/** A file's name in cgroup v1 and v2. */
export type Names = readonly [v1: string, v2: string];

/** A cgroup file that something was read from. */
export interface Source {
  readonly file: string;
  /** 1 is the container's own cgroup. */
  readonly level: number;
  readonly version: 1 | 2;
  /** "memory.stat of /a/b" */
  readonly words: string;
}

/**
 * The file of the container's own cgroup, or of the nearest one above that has it: where a controller
 * is not enabled for a cgroup, its ancestor's account is what there is.
 */
export function sourceOf(
  { container, layout }: Evidence,
  controller: string,
  names: Names,
): Source | undefined {
  const hierarchies = layout.hierarchies.filter((each) => container.paths.has(each));
  const hierarchy = hierarchyOf(hierarchies, controller);
  const path = hierarchy && container.paths.get(hierarchy);
  if (hierarchy === undefined || path === undefined) return undefined;
  return nearest(hierarchy, path, names[hierarchy.version - 1] ?? "");
}

/** Where the container's processes are listed: in the hierarchy that tells it best. */
export function processesSource({ container: { paths } }: Evidence): Source | undefined {
  const hierarchy = mainHierarchy([...paths.keys()], paths);
  const path = hierarchy && paths.get(hierarchy);
  if (hierarchy === undefined || path === undefined) return undefined;
  return nearest(hierarchy, path, "cgroup.procs");
}

/** `undefined`: no level has such a file. */
function nearest(hierarchy: Hierarchy, path: string, name: string): Source | undefined {
  const files = cgroupLevels(hierarchy, path).map((directory) => `${directory}/${name}`);
  const found = files.findIndex((file) => existsSync(file));
  const file = files[found];
  if (file === undefined) return undefined;
  const words = `${baseName(file)} of ${cgroupOf(file)}`;
  return { file, level: found + 1, version: hierarchy.version, words };
}

/** A field's rule, for what one file tells. @param what said before the file, if anything */
export function sourceRule(source: Source | undefined, what: string): Why {
  if (source === undefined) return { rule: what };
  const { file, level, words } = source;
  return { rule: what === "" ? words : `${what}, ${words}`, file, level };
}

/** "memory.max of /a/b, the tightest of 4 levels", and where that is. */
export function limitRule({ file, levels }: Found, own: Source | undefined): Why {
  if (file === undefined) return { rule: `no limit at any of ${levels} levels`, levels };
  const rule = `${baseName(file)} of ${cgroupOf(file)}, ${amongLevels(levels)}`;
  return { rule, file, levels, ...levelOf(file, own) };
}

export function amongLevels(levels: number): string {
  return levels === 1 ? "the only level" : `the tightest of ${levels} levels`;
}

/** How far up from the container's own cgroup a file of the same hierarchy is; the own one is 1. */
export function levelOf(file: string, own: Source | undefined): { level?: number } {
  if (own === undefined) return {};
  const depth = (path: string): number => path.split("/").length;
  return { level: depth(own.file) - depth(file) + own.level };
}
