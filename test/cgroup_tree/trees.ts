/** Where a container's part of the cgroup tree is: below a mount, and on the host. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import type { Container } from "../support/container.ts";
import { Lab } from "../support/lab.ts";

/** Directories of the hierarchies that the suites use: one of each version, where there is one. */
export function hierarchyNames(): string[] {
  const names = mountedHierarchies().map(({ version, mountpoint }) =>
    version === 2 ? "unified" : basename(mountpoint),
  );
  return names.filter((name) => name === "memory" || name === "unified");
}

export interface Tree {
  readonly name: string;
  /** The hierarchy's directory in the mount, and the container's own cgroup in it. */
  readonly top: string;
  readonly own: string;
  /** The same on the host. */
  readonly realTop: string;
  readonly realOwn: string;
}

export function treeOf(mountpoint: string, name: string, container: Container): Tree {
  const found = mountedHierarchies().find(({ version, mountpoint: real }) =>
    name === "unified" ? version === 2 : basename(real) === name,
  );
  const top = join(mountpoint, "cgroup", name);
  const realTop = found?.mountpoint ?? `/nothing/${name}`;
  const { path } = container.cgroups;
  return { name, top, own: join(top, path), realTop, realOwn: join(realTop, path) };
}

export { isEmulated } from "../support/wait.ts";

/** How long a server may take to come up, in emulation on a busy machine. */
const START_MS = 90_000;

/**
 * A server that serves the cgroup tree. Its deadline is not one of a busy machine's: past it a request
 * is answered EIO, which is no test of confinement.
 */
export async function openLab(): Promise<Lab> {
  const args = ["--enable-cgroup", "--deadline", "60000"];
  const lab = await Lab.open({ args, wait: false });
  try {
    await lab.server.answers(START_MS);
    return lab;
  } catch (error) {
    lab.server.kill();
    throw error;
  }
}

/** The processes that serve: one, but for moments. */
export function serverPids(lab: Lab): number[] {
  return lab.server
    .pids()
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("serve"))
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, "latin1").trim() !== "sh");
}

/** Kills the serving process; the holder starts another. */
export function killServer(lab: Lab): void {
  const servers = serverPids(lab);
  assert.ok(servers.length > 0);
  for (const pid of servers) process.kill(pid, "SIGKILL");
}
