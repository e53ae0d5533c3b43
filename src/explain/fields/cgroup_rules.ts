/** Words for limits: which level set one, and what holds where none does. */
import { cgroupDirectory } from "../../cgroup/paths.ts";
import type { Container } from "../../caller/container.ts";
import type { CgroupLayout } from "../../cgroup/layout.ts";
import { hierarchyOf } from "../../cgroup/layout.ts";
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
  readonly swap: boolean;
  readonly zswap: boolean;
  readonly loadavg: boolean;
}

/** A limit found at some level (types.ts `Limit`, `CpuQuota`). */
interface Found {
  readonly file: string | undefined;
  readonly levels: number;
}

/** Path of a file of the container's own cgroup in the hierarchy of `controller`. */
export function ownFile(
  { container, layout }: Evidence,
  controller: string,
  v1Name: string,
  v2Name: string,
): string | undefined {
  const hierarchies = layout.hierarchies.filter((each) => container.paths.has(each));
  const hierarchy = hierarchyOf(hierarchies, controller);
  const path = hierarchy && container.paths.get(hierarchy);
  if (hierarchy === undefined || path === undefined) return undefined;
  const directory = cgroupDirectory(hierarchy, path);
  return directory && `${directory}/${hierarchy.version === 1 ? v1Name : v2Name}`;
}

/** "memory.max of /a/b, the tightest of 4 levels", and where that is. */
export function limitRule(
  { file, levels }: Found,
  ownPath: string | undefined,
): Pick<Field, "rule"> & Partial<Field> {
  if (file === undefined) return { rule: `no limit at any of ${levels} levels`, levels };
  const cgroup = cgroupOf(file);
  const which = levels === 1 ? "the only level" : `the tightest of ${levels} levels`;
  const level = ownPath === undefined ? undefined : levelOf(file, ownPath);
  const rule = `${baseName(file)} of ${cgroup}, ${which}`;
  return { rule, file, levels, ...(level === undefined ? {} : { level }) };
}

/** How far up from the container's own cgroup a file is; the own one is 1. */
function levelOf(file: string, ownPath: string): number {
  const depth = (path: string): number => path.split("/").length;
  return depth(ownPath) - depth(file) + 1;
}

/** "anon in memory.stat of /a/b" as a field's rule, for what is told by the own cgroup. */
export function ownRule(
  evidence: Evidence,
  controller: string,
  names: readonly [v1: string, v2: string],
  what: string,
): Pick<Field, "rule"> & Partial<Field> {
  const file = ownFile(evidence, controller, ...names);
  if (file === undefined) return { rule: what };
  const of = `${baseName(file)} of ${cgroupOf(file)}`;
  return { rule: what === "" ? of : `${what}, ${of}`, file, level: 1 };
}
