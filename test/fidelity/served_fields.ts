/** What the files of a mount show, field by field, in the names that docs/fidelity.md calls them by. */
import { childrenOf, itemOf, NULL_FILE, ROOT, type Presence } from "../../src/views/tree.ts";

/** Directories that no file of this project's own making is in. */
const NOT_FILES = /^(?:containers|cgroup)(?:\/|$)/;

/** Paths of all files that a container with these CPUs and nodes may see, the host willing. */
export function servedFiles(presence: Presence): string[] {
  const paths: string[] = [];
  const pending = [ROOT];
  for (let local = pending.pop(); local !== undefined; local = pending.pop()) {
    for (const [, child] of childrenOf(local, presence)) {
      const item = itemOf(child);
      if (item === undefined || child === NULL_FILE || NOT_FILES.test(item.path)) continue;
      if (item.kind === "directory") pending.push(child);
      else paths.push(item.path);
    }
  }
  return paths;
}

/** A column beyond those that are known has a name that no page can have. */
function columns(names: readonly string[], words: readonly string[]): string[] {
  return words.map((_, column) => names[column] ?? `column ${column + 1}`);
}

/** Documentation/filesystems/proc.rst, section 1.7. */
const CPU_COLUMNS = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"]; // prettier-ignore

/** Documentation/admin-guide/iostats.rst. */
const DISK_COLUMNS = ["major", "minor", "name", "reads completed", "reads merged", "sectors read", "ms reading", "writes completed", "writes merged", "sectors written", "ms writing", "in flight", "ms doing I/O", "ms weighted", "discards completed", "discards merged", "sectors discarded", "ms discarding", "flushes", "ms flushing"]; // prettier-ignore

const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");
const words = (line: string): string[] => line.trim().split(/\s+/);
const firstWords = (text: string): string[] => lines(text).map((line) => line.split(/[:\s]/)[0] ?? ""); // prettier-ignore
const heads = (text: string): string[] => lines(text).slice(0, 1).flatMap(words);

function statFields(text: string): string[] {
  return lines(text).flatMap((line) => {
    const [name = "", ...rest] = words(line);
    if (!name.startsWith("cpu")) return [name];
    return [name.replace(/^cpu\d+$/, "cpuN").replace(/^cpu$/, "user"), ...columns(CPU_COLUMNS, rest)]; // prettier-ignore
  });
}

function pressureFields(text: string): string[] {
  return lines(text).flatMap((line) => {
    const [name = "", ...pairs] = words(line);
    return [name, ...pairs.map((pair) => pair.split("=")[0] ?? "")];
  });
}

/** `Node 0 MemTotal:  4024524 kB` */
function nodeFields(text: string): string[] {
  return lines(text).map((line) => /^Node \d+ ([^:]+):/.exec(line)?.[1] ?? line);
}

const OF_FILE: Readonly<Record<string, (text: string) => string[]>> = {
  "proc/meminfo": firstWords,
  "proc/vmstat": firstWords,
  "proc/stat": statFields,
  "proc/uptime": (text) => columns(["uptime", "idle"], words(text)),
  "proc/loadavg": (text) =>
    columns(["load1", "load5", "load15", "running", "threads", "lastpid"], text.trim().split(/[ /]/)), // prettier-ignore
  "proc/cpuinfo": (text) => lines(text).map((line) => line.split(":")[0]?.trim() ?? ""),
  "proc/swaps": heads,
  "proc/partitions": heads,
  "proc/diskstats": (text) => lines(text).flatMap((line) => columns(DISK_COLUMNS, words(line))),
  // Rows would begin with a cache's name.
  "proc/slabinfo": (text) => lines(text).filter((line) => !/^(?:#|slabinfo - )/.test(line)),
  "proc/pressure/cpu": pressureFields,
  "proc/pressure/memory": pressureFields,
  "proc/pressure/io": pressureFields,
};

/** A field, and the section of the page that must have it. */
export interface ServedField {
  readonly section: string;
  readonly field: string;
}

const NODE_SECTION = "/sys/devices/system/node";
/** What the meminfo of nodes has, and /proc/meminfo has not. */
const OF_NODES_ALONE = new Set(["MemUsed", "FilePages"]);

/** Files in a node's directory whose own lines are fields, too. */
const OF_NODE: Readonly<Record<string, (text: string) => ServedField[]>> = {
  meminfo: (text) =>
    nodeFields(text).map((field) => ({
      section: OF_NODES_ALONE.has(field) ? NODE_SECTION : "/proc/meminfo",
      field,
    })),
  vmstat: (text) => firstWords(text).map((field) => ({ section: "/proc/vmstat", field })),
  numastat: (text) => firstWords(text).map((field) => ({ section: NODE_SECTION, field })),
};

/** All that a file shows. @throws Error for a file of which nobody has said how it is to be read */
export function fieldsOf(path: string, text: string): ServedField[] {
  const inSystem = /^sys\/devices\/system\/(?:cpu|node)\//.exec(path)?.[0];
  if (inSystem !== undefined) {
    const section = `/${inSystem.slice(0, -1)}`;
    const name = path.slice(inSystem.length);
    const inner = OF_NODE[/^node\d+\/(\w+)$/.exec(name)?.[1] ?? ""];
    return [{ section, field: name }, ...(inner?.(text) ?? [])];
  }
  const read = OF_FILE[path];
  if (read === undefined) throw new Error(`Nobody says which fields ${path} has`);
  const section = path.startsWith("proc/pressure/") ? "/proc/pressure" : `/${path}`;
  return read(text).map((field) => ({ section, field }));
}
