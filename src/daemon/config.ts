/**
 * What a mount is run with. The front makes it from the command line; it travels to every server of
 * the mount, later versions included, as JSON in one environment variable. So fields are only ever
 * added, and a reader supplies what an older front did not know.
 */
import type { LogLevel } from "../sys/log.ts";

/** Environment variable that carries the configuration from front to servers. */
export const CONFIG_VARIABLE = "LXCFS_CONFIG";

/**
 * How many CPUs a container is shown: those of its cpuset; as many of them as its CPU quota pays for,
 * rounded up; or those of the host.
 */
export const CPU_POLICIES = ["cpuset", "quota", "none"] as const;
export type CpuPolicy = (typeof CPU_POLICIES)[number];

/** Whose time since boot a container without a time namespace of its own is shown. */
export const UPTIMES = ["container", "host"] as const;
export type UptimeOf = (typeof UPTIMES)[number];

/** What decides the content of the files. */
export interface ViewConfig {
  readonly cpuPolicy: CpuPolicy;
  readonly uptime: UptimeOf;
  /** Show containers a load average of their own. */
  readonly loadavg: boolean;
  readonly swap: boolean;
  readonly zswap: boolean;
  /** Serve the cgroup tree below /cgroup. */
  readonly cgroupTree: boolean;
  /** Let containers arm pressure triggers. */
  readonly psiPoll: boolean;
  /** Age in milliseconds up to which an answer may be given again; 0: each read is made afresh. */
  readonly freshnessMs: number;
}

/** The whole configuration of one mount. */
export interface DaemonConfig {
  readonly mountpoint: string;
  readonly runtimeDir: string;
  readonly pidfile: string;
  /** Where the control socket listens. */
  readonly controlSocket: string;
  readonly view: ViewConfig;
  /** Serving threads; 0: as many as the machine's cores, within bounds. */
  readonly workers: number;
  /** Address or socket of the metrics server; empty: none. */
  readonly metrics: string;
  readonly logLevel: LogLevel;
  /** Time in milliseconds a request may take before the watchdog answers it. */
  readonly deadlineMs: number;
  /** Inherited descriptors. */
  readonly fuseFd: number;
  readonly stateFd: number;
  /** Of the second connection, whose pages the kernel caches; -1 where nothing may be cached. */
  readonly cachedFd: number;
  /** A dead mount was found at the start: containers may still have files of it. */
  readonly heal: boolean;
  /** The locked pidfile, the holder's own; -1 where it has none. */
  readonly lockFd: number;
}

export const DEFAULT_VIEW: ViewConfig = {
  cpuPolicy: "cpuset",
  uptime: "container",
  loadavg: true,
  swap: true,
  zswap: true,
  cgroupTree: false,
  psiPoll: false,
  freshnessMs: 10,
};

export const DEFAULT_CONFIG: DaemonConfig = {
  mountpoint: "",
  runtimeDir: "/run",
  pidfile: "/run/lxcfs.pid",
  controlSocket: "",
  view: DEFAULT_VIEW,
  workers: 0,
  metrics: "",
  logLevel: "info",
  deadlineMs: 2000,
  fuseFd: -1,
  stateFd: -1,
  cachedFd: -1,
  heal: false,
  lockFd: -1,
};

/** The configuration that the environment carries. @throws Error if there is none */
export function configFromEnvironment(environment: NodeJS.ProcessEnv): DaemonConfig {
  const text = environment[CONFIG_VARIABLE];
  if (text === undefined) {
    throw new Error(`Cannot serve: ${CONFIG_VARIABLE} is not set; start with "lxcfs MOUNTPOINT"`);
  }
  const given = JSON.parse(text) as Partial<DaemonConfig>;
  return { ...DEFAULT_CONFIG, ...given, view: { ...DEFAULT_VIEW, ...given.view } };
}
