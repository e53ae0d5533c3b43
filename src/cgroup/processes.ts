/**
 * The processes of a cgroup and of all below it. `cgroup.procs` holds one pid a line, as the
 * reader's pid namespace numbers them (0 for what it does not see), in no order and, on v1, at
 * times twice. A threaded cgroup of v2 refuses to be read (EOPNOTSUPP): its processes are listed
 * in the domain cgroup above.
 */
import { readdirSync, statSync } from "node:fs";
import { Scanner } from "../host/scanner.ts";
import { opening } from "../sys/exhaustion.ts";
import { tryReadFile } from "../sys/read.ts";

/** No container has more; a runaway tree must not hold up a reader. */
const MAX_DIRECTORIES = 4096;
const MAX_PROCESSES = 1 << 20;

/** Every pid once, in no order. What vanishes meanwhile is left out; a missing directory has none. */
export function processesBelow(directory: string): number[] {
  const pids = new Set<number>();
  const pending = [directory];
  for (let i = 0; i < pending.length && i < MAX_DIRECTORIES; i++) {
    const current = pending[i] ?? "";
    const text = tryReadFile(`${current}/cgroup.procs`);
    if (text !== undefined) {
      for (const pid of parsePids(text)) if (pids.size < MAX_PROCESSES) pids.add(pid);
    }
    for (const child of subdirectories(current)) pending.push(child);
  }
  return [...pids];
}

/** Pids of a `cgroup.procs` or `cgroup.threads`; processes outside of the pid namespace (0) are left out. */
export function parsePids(text: string): number[] {
  const scanner = new Scanner("cgroup.procs", text);
  const pids: number[] = [];
  for (; !scanner.atEnd(); scanner.nextLine()) {
    const pid = scanner.number();
    if (pid > 0) pids.push(pid);
  }
  return pids;
}

/** Cgroups directly below one; none if it has vanished. */
export function subdirectories(directory: string): string[] {
  try {
    // A cgroup directory has two links and one for each directory in it: without any, its fifty
    // files need not be listed. Other filesystems (captured trees) may always say 1.
    if (statSync(directory).nlink === 2) return [];
    return opening(() => readdirSync(directory, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map((entry) => `${directory}/${entry.name}`);
  } catch {
    return [];
  }
}
