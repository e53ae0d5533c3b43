/**
 * Which suites run in the virtual machine, on which cgroup layouts. Those of test/guest run nowhere
 * else; the others run on the host too, and here once more on kernels and layouts it does not have.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Layout, layouts } from "./layout.ts";
import { repository } from "./repository.ts";

export interface GuestSuite {
  readonly name: string;
  /** Its folder below test/. */
  readonly folder: string;
  /** Tests of the short form, by file name without `.test.ts`; none: not part of it. */
  readonly short: readonly string[];
  readonly layouts: readonly Layout[];
  /** Longest time one file may take, in emulation. */
  readonly timeoutSeconds: number;
}

const onAll = { layouts, short: [], timeoutSeconds: 900 };

export const guestSuites: readonly GuestSuite[] = [
  { ...onAll, name: "guest", folder: "guest", short: ["layout", "lxc", "oci"] },
  { ...onAll, name: "containers", folder: "containers" },
  { ...onAll, name: "differential", folder: "differential" },
  { ...onAll, name: "attach", folder: "attach" },
  { ...onAll, name: "fidelity", folder: "fidelity" },
  { ...onAll, name: "cgroup_tree", folder: "cgroup_tree" },
  // what these test does not depend on the layout
  { ...onAll, name: "fuse", folder: "fuse", layouts: ["v2"] },
  { ...onAll, name: "daemon", folder: "daemon", layouts: ["v2"] },
];

/** The layouts that the short form boots. */
export const shortLayouts: readonly Layout[] = ["v2"];

/** The built test files of a suite, as paths below the project. */
export function testFiles(suite: GuestSuite, short: boolean): string[] {
  const folder = join("dist/test", suite.folder);
  if (!existsSync(join(repository, folder))) return [];
  return readdirSync(join(repository, folder), { encoding: "utf8" })
    .filter((name) => name.endsWith(".test.js"))
    .filter((name) => !short || suite.short.includes(name.slice(0, -".test.js".length)))
    .map((name) => join(folder, name))
    .toSorted();
}
