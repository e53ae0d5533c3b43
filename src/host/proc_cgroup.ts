/**
 * `/proc/<pid>/cgroup`, a process's cgroup in each hierarchy, cgroups(7):
 *
 *     4:memory:/docker/3f1c
 *     2:cpu,cpuacct:/docker/3f1c
 *     1:name=systemd:/docker/3f1c
 *     0::/system.slice/containerd.service
 *
 * Hierarchy id, controllers, path. The id 0 is cgroup v2. Paths are relative to the cgroup
 * namespace of the reader: what lies outside of it begins with `/..`. A path may hold any character
 * but newline and slash in its names, colons included; a removed cgroup's ends in ` (deleted)`.
 */
import { readFile } from "../sys/read.ts";
import { Scanner } from "./scanner.ts";

/** The cgroup of a process in one hierarchy. */
export interface ProcCgroup {
  readonly hierarchyId: number;
  /** Empty for cgroup v2; otherwise controllers (`cpu`, `cpuacct`) or a name (`name=systemd`). */
  readonly controllers: readonly string[];
  readonly path: string;
  /** The cgroup was removed while the process (then a zombie) was still in it. */
  readonly deleted: boolean;
}

const DELETED = " (deleted)";

/** @throws on a missing process, ParseError on a malformed file */
export function readProcCgroup(procRoot: string, pid: number | "self"): ProcCgroup[] {
  return parseProcCgroup(readFile(`${procRoot}/${pid}/cgroup`));
}

/** @throws ParseError if a line is not `id:controllers:/path` */
export function parseProcCgroup(text: string): ProcCgroup[] {
  const scanner = new Scanner("cgroup", text);
  const entries: ProcCgroup[] = [];
  while (!scanner.atEnd()) {
    if (!scanner.atLineEnd()) entries.push(parseEntry(scanner));
    scanner.nextLine();
  }
  return entries;
}

function parseEntry(scanner: Scanner): ProcCgroup {
  const hierarchyId = scanner.needNumber("a hierarchy id");
  scanner.need(":");
  const { text, pos } = scanner;
  const rest = scanner.restOfLine();
  const colon = rest.indexOf(":");
  if (colon < 0 || rest[colon + 1] !== "/") {
    scanner.pos = pos;
    throw scanner.error("controllers, a colon and a path");
  }
  const controllers = colon === 0 ? [] : text.slice(pos, pos + colon).split(",");
  const path = rest.slice(colon + 1);
  const deleted = path.endsWith(DELETED);
  return {
    hierarchyId,
    controllers,
    path: deleted ? path.slice(0, -DELETED.length) : path,
    deleted,
  };
}
