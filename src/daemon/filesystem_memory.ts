/**
 * Shared memory of the filesystem: what is set aside, and how large. Apart from `filesystem.ts`
 * because the main thread, which does this, has no need of the rest of it.
 */
import { parseCpuList } from "../host/cpu_list.ts";
import { FileNames, NAMES_BYTES } from "../cgroup_tree/names.ts";
import { HistoryTable, historyBytes } from "../machine/history.ts";
import { readFile } from "../sys/read.ts";
import { OPEN_FILES_SIZE, OpenFiles, openFilesBytes } from "../vfs/open_files.ts";
import { Newest, NEWEST_BYTES } from "../views/newest.ts";
import type { SharedState } from "./state.ts";
import { ensureTriggers } from "./trigger_table.ts";
import { ensureWatchedNodes } from "./watched_nodes.ts";

/** Files that are not counted by name: those of sysfs that are the host's. */
export const OTHER_FILES = "sys/*";
const OPEN_FILES = "open-files";
const HISTORY = "history";
const NEWEST = "newest";
const CGROUP_NAMES = "cgroup-names";
/** Containers of which history is kept at once. */
const HISTORY_SLOTS = 2048;

/** Sets aside what the filesystem keeps in shared memory. Main thread, before workers start. */
export function ensureFilesystemMemory(state: SharedState): void {
  state.ensureRegion(OPEN_FILES, openFilesBytes(OPEN_FILES_SIZE));
  state.ensureRegion(HISTORY, historyBytes(HISTORY_SLOTS, hostCpuCount()));
  state.ensureRegion(NEWEST, NEWEST_BYTES);
  state.ensureRegion(CGROUP_NAMES, NAMES_BYTES);
  ensureTriggers(state);
  ensureWatchedNodes(state);
}

export function openFilesOf(state: SharedState): OpenFiles {
  const region = state.region(OPEN_FILES);
  return new OpenFiles(region.buffer, region.byteOffset, OPEN_FILES_SIZE);
}

export function historyOf(state: SharedState): HistoryTable {
  const region = state.region(HISTORY);
  return new HistoryTable(region.buffer, region.byteOffset, HISTORY_SLOTS, hostCpuCount());
}

export function newestOf(state: SharedState): Newest {
  const region = state.region(NEWEST);
  return new Newest(region.buffer, region.byteOffset);
}

/** Numbers of the names of cgroup files. */
export function cgroupNamesOf(state: SharedState): FileNames {
  const region = state.region(CGROUP_NAMES);
  return new FileNames(region.buffer, region.byteOffset);
}

/** CPUs that this kernel could ever bring online. */
function hostCpuCount(): number {
  try {
    return (parseCpuList(readFile("/sys/devices/system/cpu/possible")).at(-1) ?? 0) + 1;
  } catch {
    return 1;
  }
}
