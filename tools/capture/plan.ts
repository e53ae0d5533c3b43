/**
 * The cgroups that a capture makes, and what is set in them. Tests know from here what a captured
 * tree must say.
 */

const MIB = 1 << 20;

/** What one level sets; what is missing stays as the kernel makes it. */
export interface PlannedGroup {
  /** Path below the capture's own top group; empty for that one itself. */
  readonly path: string;
  readonly memoryBytes?: number;
  /** v2 memory.swap.max; v1 adds it to memoryBytes for memsw. */
  readonly swapBytes?: number;
  readonly quotaUs?: number;
  readonly periodUs?: number;
  /** By the number of CPUs that the machine has. */
  readonly cpus?: (count: number) => string;
}

export const TOP = "lxcfs-capture";

/** Where the load runs: nothing is set here, all limits come from above. */
export const LOAD_PATH = "outer/inner/leaf";

/** Name of the load's first process: what a parser of /proc/<pid>/stat may stumble over. */
export const LOAD_COMM = "in (i) t) S 1";

/** Written past the page cache. */
export const LOAD_DIRECT_BYTES: number = 4 * MIB;

/** Memory that the load touches, and the file that it writes and reads. */
export const LOAD_ANON_BYTES: number = 24 * MIB;
export const LOAD_FILE_BYTES: number = 8 * MIB;

export const GROUPS: readonly PlannedGroup[] = [
  {
    path: "",
    memoryBytes: 900 * MIB,
    swapBytes: 64 * MIB,
    quotaUs: 150_000,
    periodUs: 100_000,
    cpus: (count) => `0-${count - 1}`,
  },
  {
    // The tightest memory is in the middle; with three CPUs or more the CPUs have a hole.
    path: "outer",
    memoryBytes: 400 * MIB,
    swapBytes: 256 * MIB,
    cpus: (count) => (count > 2 ? `0,2-${count - 1}` : `0-${count - 1}`),
  },
  {
    // Looser in memory than above, tightest in CPU time; another period than above.
    path: "outer/inner",
    memoryBytes: 500 * MIB,
    quotaUs: 25_000,
    periodUs: 50_000,
    cpus: (count) => String(count - 1),
  },
  { path: LOAD_PATH },
  // A name that is hard on parsers of /proc/<pid>/cgroup and mountinfo.
  { path: "outer/odd name:1,2", memoryBytes: 100 * MIB },
  // On v2: no controllers are enabled for it.
  { path: "outer/inner/bare/below" },
];

/** The tightest values for the load, whichever level has them. */
export const EXPECTED = {
  memoryBytes: 400 * MIB,
  memoryPath: "outer",
  swapBytes: 64 * MIB,
  quotaCpus: 0.5,
  quotaPath: "outer/inner",
} as const;
