/**
 * Which suites run in the virtual machine, on which cgroup layouts. Those of test/guest run nowhere
 * else; the others run on the host too, and here once more on kernels and layouts it does not have.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { GuestFiles } from "./guest_files.ts";
import type { Layout } from "./layout.ts";
import { repository } from "./repository.ts";

/** Test files of a suite, by name without `.test.ts`. */
type Files = "all" | "none" | readonly string[];

export interface GuestSuite {
  /** Its folder below test/, too. */
  readonly name: string;
  /** What the long form runs: seen to pass in emulation, in the time that there is. --every runs the rest. */
  readonly files: Readonly<Record<Layout, Files>>;
  /** Tests of the short form. */
  readonly short?: readonly string[];
  /** Longest time that one process of it may take, in emulation. */
  readonly timeoutSeconds: number;
  /** Files that run in a process each: their hooks are the process's, or they take their server down. */
  readonly apart?: Files;
}

/** The same on all layouts. */
function onAll(files: Files): GuestSuite["files"] {
  return { v2: files, v1: files, hybrid: files };
}

const timeoutSeconds = 900;

/** It needs a node's programs beside the project: `kubernetes.ts`. */
export const KUBELET_SUITE = "kubelet";

export const guestSuites: readonly GuestSuite[] = [
  {
    name: "guest",
    files: {
      ...onAll(["layout", "lxc", "nested", "freeze", "nspawn", "oci"]),
      v2: ["layout", "lxc", "nested", "freeze", "nspawn", "nspawn_unit", "oci", "unit"],
    },
    short: ["layout", "lxc", "oci"],
    timeoutSeconds,
    apart: ["nspawn_unit"],
  },
  {
    name: "containers",
    files: { v2: "all", v1: ["limits"], hybrid: ["callers", "limits"] },
    timeoutSeconds,
  },
  { name: "differential", files: { ...onAll("none"), v2: "all" }, timeoutSeconds },
  {
    name: "fidelity",
    files: {
      v2: ["exact", "memory"],
      v1: ["cpu", "cpu_policy", "exact", "memory", "ps", "tools"],
      hybrid: ["exact"],
    },
    timeoutSeconds,
  },
  {
    name: "attach",
    files: { ...onAll("none"), v2: ["attach", "command", "heal"] },
    timeoutSeconds,
  },
  { name: "chaos", files: { ...onAll("none"), v2: ["clock"] }, timeoutSeconds },
  {
    name: "cgroup_tree",
    files: { ...onAll("none"), v2: ["descriptors", "leaks"] },
    timeoutSeconds,
  },
  { name: "explain", files: onAll("none"), timeoutSeconds },
  { name: "daemon", files: onAll("none"), timeoutSeconds, apart: "all" },
  { name: "fuse", files: onAll("none"), timeoutSeconds, apart: "all" },
  // A node takes minutes to come up: by name only.
  { name: KUBELET_SUITE, files: onAll("none"), timeoutSeconds: 2 * timeoutSeconds, apart: "all" },
];

/** The layouts that the short form boots. */
export const shortLayouts: readonly Layout[] = ["v2"];

export interface Wanted {
  readonly layouts: readonly Layout[];
  /** None: all. */
  readonly suites: readonly string[];
  /** By name without `.test.ts`; none: all. */
  readonly files: readonly string[];
  readonly short: boolean;
  /** Every file of a suite on every layout, worth it or not. */
  readonly every: boolean;
}

/** What is to run, in order. */
export function guestFiles(wanted: Wanted): GuestFiles[] {
  return wanted.layouts.flatMap((layout) =>
    guestSuites
      .filter(({ name }) => wanted.suites.length === 0 || wanted.suites.includes(name))
      .flatMap((suite) =>
        groups(suite, filesOf(suite, layout, wanted)).map((paths) => ({ suite, paths })),
      )
      .map(({ suite, paths }) => ({
        layout,
        suite: suite.name,
        paths,
        timeoutMs: suite.timeoutSeconds * 1000,
      })),
  );
}

/** So many files at most in one process: a start costs ten seconds, but what has begun is soon over. */
const MOST_FILES = 4;

/** What runs in one process. */
function groups({ apart = "none" }: GuestSuite, paths: string[]): string[][] {
  const alone = paths.filter((path) => has(apart, basename(path, ".test.js")));
  const together = paths.filter((path) => !alone.includes(path));
  const shared: string[][] = [];
  for (let at = 0; at < together.length; at += MOST_FILES) {
    shared.push(together.slice(at, at + MOST_FILES));
  }
  return [...shared, ...alone.map((path) => [path])];
}

function has(files: Files, name: string): boolean {
  return files === "all" || files.includes(name);
}

/** The built test files of a suite, as paths below the project. */
function filesOf(suite: GuestSuite, layout: Layout, wanted: Wanted): string[] {
  const folder = join("dist/test", suite.name);
  if (!existsSync(join(repository, folder))) return [];
  return readdirSync(join(repository, folder), { encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js"))
    .map((name) => name.slice(0, -".test.js".length))
    .filter((name) => isWanted(name, suite, layout, wanted))
    .map((name) => join(folder, `${name}.test.js`))
    .toSorted();
}

function isWanted(name: string, suite: GuestSuite, layout: Layout, wanted: Wanted): boolean {
  if (wanted.files.length > 0) return wanted.files.includes(name);
  if (wanted.short) return suite.short?.includes(name) === true;
  return has(wanted.every || wanted.suites.length > 0 ? "all" : suite.files[layout], name);
}
