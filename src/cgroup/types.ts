/**
 * What the rest of the project knows of cgroups: one interface, implemented by `v1/` and `v2/`.
 * All differences of the two versions (names, `max`, meaning of swap) end behind it.
 *
 * Readings are of the moment, hierarchical where the kernel enforces hierarchically, in bytes,
 * microseconds or nanoseconds as the name says, and never negative or NaN. A file that is missing
 * or malformed makes its field `undefined` or its limit `Infinity`, never an exception.
 */

/** How this host mounts its cgroups. */
export type CgroupMode = "v1" | "hybrid" | "v2" | "none";

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1: the controllers of the mount (`cpu`, `cpuacct`, or `name=systemd`); v2: empty, see `cgroup.controllers`. */
  readonly controllers: readonly string[];
  /** Where it is mounted, below the root the layout was read from. */
  readonly mountPoint: string;
  /** The cgroup that the mount shows as its top: `/` unless only a part is mounted. */
  readonly mountRoot: string;
}

/** A container's cgroup in each hierarchy: absolute paths as `/proc/<pid>/cgroup` gives them on the host. */
export type CgroupPaths = ReadonlyMap<Hierarchy, string>;

/** A limit that was looked for at every level from the cgroup to its topmost ancestor. */
export interface Limit {
  /** The tightest value found; `Infinity` where no level sets one. */
  readonly value: number;
  /** The file that holds it, for explanations; `undefined` where there is no limit. */
  readonly file: string | undefined;
  /** How many levels were looked at. */
  readonly levels: number;
}

/** Memory of the cgroup and all below it, in bytes. Names are those of cgroup v2's memory.stat. */
export interface MemoryStat {
  readonly anon: number;
  readonly file: number;
  readonly activeAnon: number;
  readonly inactiveAnon: number;
  readonly activeFile: number;
  readonly inactiveFile: number;
  readonly unevictable: number;
  readonly shmem: number;
  readonly fileMapped: number;
  readonly fileDirty: number;
  readonly fileWriteback: number;
  readonly anonThp: number;
  readonly fileThp: number;
  readonly shmemThp: number;
  readonly swapCached: number;
  readonly slabReclaimable: number;
  readonly slabUnreclaimable: number;
  readonly kernelStack: number;
  readonly pageTables: number;
  readonly secPageTables: number;
  readonly percpu: number;
  readonly sock: number;
  readonly vmalloc: number;
  /** All memory of the kernel charged here (v2 `kernel`, v1 `memory.kmem.usage_in_bytes`). */
  readonly kernel: number;
  readonly zswap: number;
  readonly zswapped: number;
  /** Events since the cgroup was made, by the name in the file (`pgfault`, `pgmajfault`, `pgscan` ...). */
  readonly events: ReadonlyMap<string, number>;
}

export interface MemoryReading {
  readonly limit: Limit;
  readonly usageBytes: number;
  readonly stat: MemoryStat;
  /** Whether this kernel accounts swap to cgroups at all (the files exist). */
  readonly swapAccounted: boolean;
  /**
   * Swap this container may use, in bytes. v2: `memory.swap.max`. v1: memory+swap limit minus memory
   * limit, the tightest over all levels for each.
   */
  readonly swapLimit: Limit;
  readonly swapUsageBytes: number;
  /** v1 `memory.swappiness`; `undefined` on v2, where cgroups have none. */
  readonly swappiness: number | undefined;
}

/** Memory of the cgroup by NUMA node, in bytes; keys as in v2's memory.numa_stat, of v1 see v1/numa.ts. */
export type NumaReading = ReadonlyMap<number, Readonly<Record<string, number>>>;

/** CPU bandwidth: the tightest level's ratio. */
export interface CpuQuota {
  /** CPUs' worth of time allowed: quota / period, the minimum over all levels; `Infinity` if none. */
  readonly cpus: number;
  readonly quotaUs: number;
  readonly periodUs: number;
  readonly file: string | undefined;
  readonly levels: number;
}

/** CPU time used by the cgroup and all below it since it was made, in microseconds. */
export interface CpuTimes {
  readonly usageUs: number;
  readonly userUs: number;
  readonly systemUs: number;
  /** Part of userUs that was niced; 0 where the kernel does not say. */
  readonly niceUs: number;
  /** v1 cpuacct: by host CPU number. `undefined` on v2, which does not account by CPU. */
  readonly perCpu:
    | ReadonlyMap<number, { readonly userUs: number; readonly systemUs: number }>
    | undefined;
}

/** I/O of one block device by the cgroup and all below it, since the cgroup was made. */
export interface DeviceIo {
  readonly major: number;
  readonly minor: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly readIos: number;
  readonly writeIos: number;
  readonly discardBytes: number;
  readonly discardIos: number;
  /** v1 only, and only with schedulers that account them; 0 otherwise. */
  readonly readMerges: number;
  readonly writeMerges: number;
  readonly readTimeMs: number;
  readonly writeTimeMs: number;
}

export type PressureResource = "cpu" | "memory" | "io" | "irq";

/**
 * The cgroups of one container, over all hierarchies. Keeps descriptors of what is read again;
 * `close` gives them back. A cgroup that has been removed makes every reading `undefined`.
 */
export interface ContainerCgroups {
  readonly paths: CgroupPaths;
  memory(): MemoryReading | undefined;
  numa(): NumaReading | undefined;
  /** The effective cpuset as a list of host CPU numbers, ascending; `undefined` without the controller. */
  cpuset(): readonly number[] | undefined;
  /** The effective memory nodes (`cpuset.mems.effective`). */
  memoryNodes(): readonly number[] | undefined;
  quota(): CpuQuota;
  cpuTimes(): CpuTimes | undefined;
  io(): readonly DeviceIo[] | undefined;
  /** The text of the cgroup's own pressure file, verbatim; `undefined` where it has none. */
  pressure(resource: PressureResource): string | undefined;
  /** Path of that pressure file, for triggers. */
  pressureFile(resource: PressureResource): string | undefined;
  /**
   * Process ids (host) of the cgroup and everything below it, all depths, in the hierarchy that
   * tells the container best; processes that vanish meanwhile are left out.
   */
  processes(): number[];
  /** Number of threads where the pids controller tells it cheaply (`pids.current`). */
  threadCount(): number | undefined;
  /** Whether the cgroup still exists. */
  alive(): boolean;
  close(): void;
}
