/** Captured trees for tests: unpacked into a temporary directory, which goes with the process. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { type CgroupLayout, detectLayout } from "../src/cgroup/layout.ts";
import { cgroupPaths } from "../src/cgroup/paths.ts";
import type { CgroupMode, CgroupPaths } from "../src/cgroup/types.ts";
import { LOAD_COMM } from "./capture/plan.ts";
import { parseTree, type Tree, writeTree } from "./tree_archive.ts";

/** Sources lie two levels up from `dist/tools`. */
const FIXTURES = fileURLToPath(new URL("../../fixtures", import.meta.url));

/** An unpacked tree. */
export interface Fixture {
  readonly name: string;
  readonly mode: CgroupMode;
  /** The tree's top: a prefix for every path of a running machine. */
  readonly root: string;
  readonly proc: string;
  readonly sys: string;
  readonly layout: CgroupLayout;
  /** The captured container: its pid 1, as the host numbers it, and its cgroups. */
  readonly init: number;
  readonly paths: CgroupPaths;
  /** Removes the tree. */
  remove(): void;
}

/** Names of all captured trees. */
export function fixtureNames(): string[] {
  return readdirSync(FIXTURES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && archiveOf(entry.name) !== undefined)
    .map((entry) => entry.name)
    .sort();
}

/** Text of a tree's archive; `undefined` for a directory that has none. */
export function archiveOf(name: string): string | undefined {
  try {
    return readFileSync(`${FIXTURES}/${name}/tree.txt`, "utf8");
  } catch {
    return undefined;
  }
}

/** Memory is faster for thousands of small files, where there is some. */
const PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

const PREFIX = "lxcfs-fixture-";

/** What killed tests have left behind. */
function removeLeftovers(): void {
  for (const name of readdirSync(PARENT)) {
    const [, pid] = /^lxcfs-fixture-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    rmSync(`${PARENT}/${name}`, { recursive: true, force: true });
  }
}

/**
 * Unpacks a tree; it may be changed.
 * @param wanted which paths, where all of them would take long
 * @throws Error if there is none of this name
 */
export function unpackFixture(name: string, wanted?: (path: string) => boolean): Fixture {
  const archive = archiveOf(name);
  if (archive === undefined) throw new Error(`Cannot unpack fixture ${name}: it has no tree.txt`);
  removeLeftovers();
  const tree = parseTree(archive);
  if (wanted) for (const path of tree.keys()) if (!wanted(path)) tree.delete(path);
  const root = mkdtempSync(`${PARENT}/${PREFIX}${process.pid}-`);
  const remove = (): void => rmSync(root, { recursive: true, force: true });
  process.once("exit", remove);
  writeTree(writable(tree), root);
  const text = (path: string): string => readFileSync(root + path, "latin1");
  const layout = detectLayout(text("/proc/self/mountinfo"));
  const init = readdirSync(`${root}/proc`)
    .filter((entry) => /^\d+$/.test(entry) && entry !== "1")
    .find((pid) => text(`/proc/${pid}/comm`).trim() === LOAD_COMM);
  return {
    name,
    mode: layout.mode,
    root,
    proc: `${root}/proc`,
    sys: `${root}/sys`,
    layout,
    init: Number(init),
    paths: cgroupPaths(layout, text(`/proc/${init}/cgroup`)),
    remove() {
      remove();
      process.removeListener("exit", remove);
    },
  };
}

/** Tests change what they unpack, and need not be root. */
function writable(tree: Tree): Tree {
  return new Map(
    [...tree].map(([path, entry]) => [
      path,
      entry.kind === "link" ? entry : { ...entry, mode: entry.mode | 0o600 },
    ]),
  );
}
