/** All cgroups of one container, whichever versions its host has them in. */
import type { HeldFile } from "../sys/held_file.ts";
import { cgroupFile } from "./cgroup_file.ts";
import { type CgroupLayout, hierarchyOf } from "./layout.ts";
import { cgroupDirectory, cgroupLevels, directoryId } from "./paths.ts";
import type { NumberListFile } from "./number_list_file.ts";
import { processesBelow } from "./processes.ts";
import { parseSingleValue } from "./single_value.ts";
import { tightest } from "./quota.ts";
import type {
  CgroupPaths,
  ContainerCgroups,
  CpuQuota,
  CpuTimes,
  DeviceIo,
  Hierarchy,
  MemoryReading,
  NumaReading,
  PressureResource,
} from "./types.ts";
import { CpuQuotaV1, CpuTimesV1 } from "./v1/cpu.ts";
import { cpusV1, memoryNodesV1 } from "./v1/cpuset.ts";
import { IoV1 } from "./v1/io.ts";
import { MemoryV1 } from "./v1/memory.ts";
import { parseNumaStatV1 } from "./v1/numa.ts";
import { CpuV2 } from "./v2/cpu.ts";
import { cpusV2, memoryNodesV2 } from "./v2/cpuset.ts";
import { IoV2 } from "./v2/io.ts";
import { MemoryV2 } from "./v2/memory.ts";
import { parseNumaStatV2 } from "./v2/numa.ts";

/** Where a container's cgroups are looked for, and what is not to be found out from them. */
export interface OpenOptions {
  /** Prefix of all mount points: empty for the running machine, else the top of a captured tree. */
  readonly root?: string;
  /** The kernel's page size, which v1's memory.numa_stat counts in. @default 4096 */
  readonly pageBytes?: number;
}

/**
 * Opens nothing yet: files are opened when they are first read, and then kept.
 * @param paths as `cgroupPaths` found them; hierarchies without an entry count as not mounted
 */
export function openContainerCgroups(
  layout: CgroupLayout,
  paths: CgroupPaths,
  { root = "", pageBytes = 4096 }: OpenOptions = {},
): ContainerCgroups {
  return new Container(layout, paths, root, pageBytes);
}

interface Source<T> {
  read(): T;
  close(): void;
}

class Container implements ContainerCgroups {
  readonly paths: CgroupPaths;
  readonly #memory: Source<MemoryReading | undefined> | undefined;
  readonly #numa: Source<NumaReading | undefined> | undefined;
  readonly #cpuset: NumberListFile | undefined;
  readonly #memoryNodes: NumberListFile | undefined;
  readonly #quota: Source<CpuQuota> | undefined;
  readonly #cpuTimes: Source<CpuTimes | undefined> | undefined;
  readonly #io: Source<DeviceIo[] | undefined> | undefined;
  readonly #threads: HeldFile | undefined;
  readonly #pressure = new Map<PressureResource, HeldFile>();
  readonly #main: string | undefined;
  readonly #id: number | undefined;

  constructor(layout: CgroupLayout, paths: CgroupPaths, root: string, pageBytes: number) {
    this.paths = paths;
    const hierarchies = layout.hierarchies.filter((hierarchy) => paths.has(hierarchy));
    const find = (controller: string): Place | undefined =>
      placeOf(hierarchyOf(hierarchies, controller), paths, root);

    const memory = find("memory");
    if (memory) {
      this.#memory =
        memory.version === 1 ? new MemoryV1(memory.levels) : new MemoryV2(memory.levels);
      this.#numa = numaSource(memory, pageBytes);
    }
    const cpuset = find("cpuset");
    if (cpuset) {
      this.#cpuset = cpuset.version === 1 ? cpusV1(cpuset.levels) : cpusV2(cpuset.levels);
      this.#memoryNodes =
        cpuset.version === 1 ? memoryNodesV1(cpuset.levels) : memoryNodesV2(cpuset.levels);
    }
    const cpu = find("cpu");
    if (cpu?.version === 1) this.#quota = new CpuQuotaV1(cpu.levels);
    const cpuacct = find("cpuacct");
    if (cpuacct?.version === 1) this.#cpuTimes = new CpuTimesV1(cpuacct.directory);
    const unifiedCpu = cpu?.version === 2 ? cpu : cpuacct?.version === 2 ? cpuacct : undefined;
    if (unifiedCpu) {
      const both = new CpuV2(unifiedCpu.levels);
      const close = (): void => both.close();
      this.#quota ??= { read: () => both.quota(), close };
      this.#cpuTimes ??= { read: () => both.times(), close };
    }
    // v1 calls it blkio, v2 io.
    const io = find("blkio");
    if (io) this.#io = io.version === 1 ? new IoV1(io.directory) : new IoV2(io.directory);
    const pids = find("pids");
    if (pids) this.#threads = cgroupFile(`${pids.directory}/pids.current`);

    const unified = placeOf(
      hierarchies.find((hierarchy) => hierarchy.version === 2),
      paths,
      root,
    );
    if (unified) {
      for (const resource of ["cpu", "memory", "io", "irq"] as const) {
        this.#pressure.set(resource, cgroupFile(`${unified.directory}/${resource}.pressure`));
      }
    }
    this.#main = mainDirectory(hierarchies, paths, root);
    this.#id = this.#main === undefined ? undefined : directoryId(this.#main);
  }

  memory(): MemoryReading | undefined {
    return this.#memory?.read();
  }

  numa(): NumaReading | undefined {
    return this.#numa?.read();
  }

  cpuset(): readonly number[] | undefined {
    return this.#cpuset?.read();
  }

  memoryNodes(): readonly number[] | undefined {
    return this.#memoryNodes?.read();
  }

  quota(): CpuQuota {
    return this.#quota?.read() ?? tightest([]);
  }

  cpuTimes(): CpuTimes | undefined {
    return this.#cpuTimes?.read();
  }

  io(): readonly DeviceIo[] | undefined {
    return this.#io?.read();
  }

  pressure(resource: PressureResource): string | undefined {
    return this.#pressure.get(resource)?.read();
  }

  pressureFile(resource: PressureResource): string | undefined {
    const file = this.#pressure.get(resource);
    return file?.read() === undefined ? undefined : file.path;
  }

  processes(): number[] {
    return this.#main === undefined ? [] : processesBelow(this.#main);
  }

  threadCount(): number | undefined {
    return parseSingleValue(this.#threads?.read());
  }

  alive(): boolean {
    return (
      this.#main !== undefined && this.#id !== undefined && directoryId(this.#main) === this.#id
    );
  }

  close(): void {
    for (const source of [
      this.#memory,
      this.#numa,
      this.#cpuset,
      this.#memoryNodes,
      this.#quota,
      this.#cpuTimes,
      this.#io,
      this.#threads,
      ...this.#pressure.values(),
    ]) {
      source?.close();
    }
  }
}

/** A cgroup in one hierarchy: its directory and those above it. */
interface Place {
  readonly version: 1 | 2;
  readonly directory: string;
  readonly levels: readonly string[];
}

function placeOf(
  hierarchy: Hierarchy | undefined,
  paths: CgroupPaths,
  root: string,
): Place | undefined {
  if (!hierarchy) return undefined;
  const path = paths.get(hierarchy);
  if (path === undefined) return undefined;
  const levels = cgroupLevels(hierarchy, path, root);
  const [directory] = levels;
  return directory === undefined ? undefined : { version: hierarchy.version, directory, levels };
}

function numaSource(memory: Place, pageBytes: number): Source<NumaReading | undefined> {
  const file = cgroupFile(`${memory.directory}/memory.numa_stat`);
  return {
    read() {
      const text = file.read();
      if (text === undefined) return undefined;
      return memory.version === 1 ? parseNumaStatV1(text, pageBytes) : parseNumaStatV2(text);
    },
    close: () => file.close(),
  };
}

/**
 * The directory that stands for the container. Managers make its cgroup in every hierarchy they
 * use, which need not be all: the deepest path tells most.
 */
function mainDirectory(
  hierarchies: readonly Hierarchy[],
  paths: CgroupPaths,
  root: string,
): string | undefined {
  const hierarchy = mainHierarchy(hierarchies, paths);
  return hierarchy && cgroupDirectory(hierarchy, paths.get(hierarchy) ?? "/", root);
}

/** Of hierarchies that tell equally much, the one that a container is least likely to move its own processes in. */
const PREFERENCE = ["memory", "pids", "cpu", "cpuacct", "cpuset", "devices", "freezer", "blkio"];

/** The hierarchy whose path tells a container best. */
export function mainHierarchy(
  hierarchies: readonly Hierarchy[],
  paths: CgroupPaths,
): Hierarchy | undefined {
  const score = (hierarchy: Hierarchy): number => {
    const depth = (paths.get(hierarchy) ?? "").split("/").filter(Boolean).length;
    const rank = PREFERENCE.findIndex((name) => hierarchy.controllers.includes(name));
    return depth * 100 - (rank < 0 ? PREFERENCE.length : rank);
  };
  let best: Hierarchy | undefined;
  for (const hierarchy of hierarchies) {
    if (!paths.has(hierarchy)) continue;
    if (!best || score(hierarchy) > score(best)) best = hierarchy;
  }
  return best;
}
