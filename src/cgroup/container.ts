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
import { CpuQuotaV2, CpuTimesV2 } from "./v2/cpu.ts";
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

/** What a container's cgroups tell, each from files of its own. */
interface Sources {
  memory: Source<MemoryReading | undefined>;
  numa: Source<NumaReading | undefined>;
  cpuset: NumberListFile;
  memoryNodes: NumberListFile;
  quota: Source<CpuQuota>;
  cpuTimes: Source<CpuTimes | undefined>;
  io: Source<DeviceIo[] | undefined>;
  threads: HeldFile;
  pressureCpu: HeldFile;
  pressureMemory: HeldFile;
  pressureIo: HeldFile;
  pressureIrq: HeldFile;
}

const PRESSURE = {
  cpu: "pressureCpu",
  memory: "pressureMemory",
  io: "pressureIo",
  irq: "pressureIrq",
} as const satisfies Record<PressureResource, keyof Sources>;

/** Made when first asked for: of most containers only a file or two is ever read. */
const OPEN: { readonly [K in keyof Sources]: (at: Container) => Sources[K] | undefined } = {
  memory: (at) => {
    const place = at.place("memory");
    return place && (place.version === 1 ? new MemoryV1(place.levels) : new MemoryV2(place.levels));
  },
  numa: (at) => {
    const place = at.place("memory");
    return place && numaSource(place, at.pageBytes);
  },
  cpuset: (at) => {
    const place = at.place("cpuset");
    return place && (place.version === 1 ? cpusV1(place.levels) : cpusV2(place.levels));
  },
  memoryNodes: (at) => {
    const place = at.place("cpuset");
    return (
      place && (place.version === 1 ? memoryNodesV1(place.levels) : memoryNodesV2(place.levels))
    );
  },
  quota: (at) => {
    const place = at.place("cpu") ?? at.place("cpuacct", 2);
    return (
      place && (place.version === 1 ? new CpuQuotaV1(place.levels) : new CpuQuotaV2(place.levels))
    );
  },
  cpuTimes: (at) => {
    const place = at.place("cpuacct") ?? at.place("cpu", 2);
    return (
      place &&
      (place.version === 1 ? new CpuTimesV1(place.directory) : new CpuTimesV2(place.directory))
    );
  },
  // v1 calls it blkio, v2 io.
  io: (at) => {
    const place = at.place("blkio");
    return place && (place.version === 1 ? new IoV1(place.directory) : new IoV2(place.directory));
  },
  threads: (at) => {
    const place = at.place("pids");
    return place && cgroupFile(`${place.directory}/pids.current`);
  },
  pressureCpu: (at) => at.pressureSource("cpu"),
  pressureMemory: (at) => at.pressureSource("memory"),
  pressureIo: (at) => at.pressureSource("io"),
  pressureIrq: (at) => at.pressureSource("irq"),
};

class Container implements ContainerCgroups {
  readonly paths: CgroupPaths;
  readonly pageBytes: number;
  readonly #hierarchies: readonly Hierarchy[];
  readonly #root: string;
  /** `null`: there is none. */
  readonly #open: { [K in keyof Sources]?: Sources[K] | null } = {};
  readonly #main: string | undefined;
  readonly #id: number | undefined;
  readonly #life: HeldFile | undefined;

  constructor(layout: CgroupLayout, paths: CgroupPaths, root: string, pageBytes: number) {
    this.paths = paths;
    this.pageBytes = pageBytes;
    this.#hierarchies = layout.hierarchies;
    this.#root = root;
    const own = layout.hierarchies.filter((hierarchy) => paths.has(hierarchy));
    this.#main = mainDirectory(own, paths, root);
    this.#id = this.#main === undefined ? undefined : directoryId(this.#main);
    // In a captured tree a file outlives its directory.
    if (root === "" && this.#main !== undefined) {
      this.#life = lifeOf(this.#main, mainHierarchy(own, paths)?.version);
    }
  }

  /** Where `controller` has this container; nothing if that is a hierarchy of another `version`. */
  place(controller: string, version?: 1 | 2): Place | undefined {
    const own = this.#hierarchies.filter((hierarchy) => this.paths.has(hierarchy));
    const place = placeOf(hierarchyOf(own, controller), this.paths, this.#root);
    return version === undefined || place?.version === version ? place : undefined;
  }

  pressureSource(resource: PressureResource): HeldFile | undefined {
    const unified = this.#hierarchies.find(
      (hierarchy) => hierarchy.version === 2 && this.paths.has(hierarchy),
    );
    const place = placeOf(unified, this.paths, this.#root);
    return place && cgroupFile(`${place.directory}/${resource}.pressure`);
  }

  #source<K extends keyof Sources>(kind: K): Sources[K] | undefined {
    const open: Partial<Record<K, Sources[K] | null>> = this.#open as Record<K, Sources[K]>;
    const known = open[kind];
    if (known !== undefined) return known ?? undefined;
    const source = OPEN[kind](this);
    open[kind] = source ?? null;
    return source;
  }

  memory(): MemoryReading | undefined {
    return this.#source("memory")?.read();
  }

  numa(): NumaReading | undefined {
    return this.#source("numa")?.read();
  }

  cpuset(): readonly number[] | undefined {
    return this.#source("cpuset")?.read();
  }

  memoryNodes(): readonly number[] | undefined {
    return this.#source("memoryNodes")?.read();
  }

  quota(): CpuQuota {
    return this.#source("quota")?.read() ?? tightest([]);
  }

  cpuTimes(): CpuTimes | undefined {
    return this.#source("cpuTimes")?.read();
  }

  io(): readonly DeviceIo[] | undefined {
    return this.#source("io")?.read();
  }

  pressure(resource: PressureResource): string | undefined {
    return this.#source(PRESSURE[resource])?.read();
  }

  pressureFile(resource: PressureResource): string | undefined {
    const file = this.#source(PRESSURE[resource]);
    return file?.read() === undefined ? undefined : file.path;
  }

  processes(): number[] {
    return this.#main === undefined ? [] : processesBelow(this.#main);
  }

  threadCount(): number | undefined {
    return parseSingleValue(this.#source("threads")?.read());
  }

  alive(): boolean {
    const life = this.#life;
    if (life?.isOpen === true && tryRead(life) !== undefined) return true;
    // Opened before the look, lest it is another cgroup's that was made in between.
    if (life !== undefined) tryRead(life);
    const isThere =
      this.#main !== undefined && this.#id !== undefined && directoryId(this.#main) === this.#id;
    if (!isThere) life?.close();
    return isThere;
  }

  close(): void {
    for (const source of Object.values(this.#open)) source?.close();
    this.#life?.close();
  }
}

/**
 * A file that can be read for as long as the cgroup lives, and takes no lock. A descriptor of it costs a
 * sixth of a look at the directory by its path, and is never one of another cgroup of that name.
 */
function lifeOf(directory: string, version: 1 | 2 | undefined): HeldFile {
  return cgroupFile(`${directory}/${version === 2 ? "cgroup.max.depth" : "notify_on_release"}`);
}

/** Nothing, too, where no further file can be opened. */
function tryRead(file: HeldFile): string | undefined {
  try {
    return file.read();
  } catch {
    return undefined;
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
