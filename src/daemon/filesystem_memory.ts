/**
 * What the filesystem keeps in shared memory, set aside by the main thread before its workers start.
 * Apart from `filesystem.ts`, because the main thread serves nothing and should load nothing of it.
 */
import type { SharedState } from "./state.ts";

/** Files that are counted by name. */
const FILES = ["proc/meminfo"];

/** @param place gives a file its place in the request counters */
export function ensureFilesystemMemory(_state: SharedState, place: (file: string) => number): void {
  for (const file of FILES) place(file);
}
