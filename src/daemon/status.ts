/** What `lxcfs status` tells: made by the server from the shared state. */
import { keyToName, type ContainerKey } from "../caller/container_key.ts";
import type { DaemonConfig, ViewConfig } from "./config.ts";
import type { Counters, FileCounts } from "./counters.ts";
import type { SharedState } from "./state.ts";
import { topReaders } from "./top_readers.ts";

/** Field names are an interface: scripts read them. Only ever add. */
export interface Status {
  readonly mountpoint: string;
  readonly version: string;
  readonly holderPid: number;
  /** False for a server whose holder was killed, until another has taken over. */
  readonly holderAlive: boolean;
  readonly serverPid: number;
  readonly workers: number;
  /** FUSE protocol agreed on with the kernel, as `7.40`. */
  readonly protocol: string;
  /** When the mount was made, ISO 8601. */
  readonly startTime: string;
  readonly hostView: boolean;
  readonly restarts: number;
  readonly resends: number;
  readonly replays: number;
  readonly upgrades: number;
  readonly failedUpgrades: number;
  readonly upgradeError: string;
  readonly deadlineMisses: number;
  readonly workerDeaths: number;
  /** System calls that serving threads were refused: a mistake of ours, or an intruder. */
  readonly refusedCalls: number;
  /** Times that no descriptor was free and some were given back: the limit is too low. */
  readonly descriptorShortages: number;
  readonly requests: Readonly<Record<string, FileCounts>>;
  /** Reads by container (its directory below `containers/`), of those that read most. */
  readonly readers: Readonly<Record<string, number>>;
  /** What decides the content of the files: options of the mount. */
  readonly view: ViewConfig;
  /** The server's descriptors, from which a new holder takes the connection. */
  readonly fuseFd: number;
  readonly stateFd: number;
  readonly cachedFd: number;
}

export function statusOf(
  config: DaemonConfig,
  state: SharedState,
  counters: Counters,
  workers: number,
): Status {
  return {
    mountpoint: config.mountpoint,
    version: state.text("version"),
    holderPid: state.get("holderPid"),
    holderAlive: process.ppid === state.get("holderPid"),
    serverPid: state.get("serverPid"),
    workers,
    protocol: `${state.get("protocolMajor")}.${state.get("protocolMinor")}`,
    startTime: new Date(state.get("startSeconds") * 1000).toISOString(),
    hostView: state.get("hostView") !== 0,
    restarts: state.get("restarts"),
    resends: state.get("resends"),
    replays: state.get("replays"),
    upgrades: state.get("upgrades"),
    failedUpgrades: state.get("failedUpgrades"),
    upgradeError: state.text("upgradeError"),
    deadlineMisses: state.get("deadlineMisses"),
    workerDeaths: state.get("workerDeaths"),
    refusedCalls: state.get("refusedCalls"),
    descriptorShortages: state.get("descriptorShortages"),
    requests: Object.fromEntries(counters.byFile()),
    readers: Object.fromEntries(
      topReaders(state).map(([key, reads]) => [keyToName(key as ContainerKey), reads]),
    ),
    view: config.view,
    fuseFd: config.fuseFd,
    stateFd: config.stateFd,
    cachedFd: config.cachedFd,
  };
}
