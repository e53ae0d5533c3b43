/**
 * Every virtual file of a fixed name. A new one is a module and a line here; its `local` number must
 * be new, and is its for ever.
 */
import { cpuinfo, cpuinfo32 } from "./proc/cpuinfo.ts";
import { diskstats } from "./proc/diskstats.ts";
import { loadavg } from "./proc/loadavg.ts";
import { meminfo } from "./proc/meminfo.ts";
import { partitions } from "./proc/partitions.ts";
import { cpuPressure, ioPressure, memoryPressure } from "./proc/pressure.ts";
import { slabinfo } from "./proc/slabinfo.ts";
import { stat } from "./proc/stat.ts";
import { swaps } from "./proc/swaps.ts";
import { uptime } from "./proc/uptime.ts";
import { vmstat } from "./proc/vmstat.ts";
import { offlineCpus, onlineCpus, possibleCpus, presentCpus } from "./sys/cpu_lists.ts";
import {
  cpuNodes,
  memoryNodes,
  normalMemoryNodes,
  onlineNodes,
  possibleNodes,
} from "./sys/node_lists.ts";
import type { View } from "./view.ts";

export const VIEWS: readonly View[] = [
  meminfo,
  stat,
  uptime,
  loadavg,
  swaps,
  slabinfo,
  cpuinfo,
  diskstats,
  partitions,
  vmstat,
  cpuPressure,
  memoryPressure,
  ioPressure,
  onlineCpus,
  possibleCpus,
  presentCpus,
  offlineCpus,
  onlineNodes,
  possibleNodes,
  cpuNodes,
  memoryNodes,
  normalMemoryNodes,
];

/** Files that no name leads to: other texts of files above, for some of their readers. */
export const VARIANTS: readonly View[] = [cpuinfo32];

/** Directories by their number: fixed for ever, as those of files. */
export const DIRECTORIES: readonly { readonly local: number; readonly path: string }[] = [
  { local: 1, path: "" },
  { local: 2, path: "proc" },
  { local: 3, path: "proc/pressure" },
  { local: 4, path: "sys" },
  { local: 5, path: "sys/devices" },
  { local: 6, path: "sys/devices/system" },
  { local: 7, path: "sys/devices/system/cpu" },
  { local: 8, path: "sys/devices/system/node" },
  { local: 9, path: "containers" },
  { local: 11, path: "containers/pid" },
  { local: 13, path: "cgroup" },
];
