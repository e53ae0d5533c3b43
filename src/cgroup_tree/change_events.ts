/**
 * Files that tell of their changes by poll(2): `cgroup.events`, `memory.events.local` and their like
 * (Linux, Documentation/admin-guide/cgroup-v2.rst). A descriptor of the kernel's own file knows what
 * has changed since it was last read, so there is one for each of ours that somebody polls.
 */
import { openEntry } from "../sys/native.ts";
import { bytesOf } from "./bytes.ts";
import type { FileNames } from "./names.ts";
import { nodeOf } from "./node.ts";
import type { Cgroups } from "./tree.ts";

const O_RDONLY = 0;

/** One open file that is polled. */
export interface Polled {
  readonly handle: number;
  /** Its node (node.ts). */
  readonly owner: number;
  readonly local: number;
  /** Who shares the number of files that may be waited for: the caller's own cgroup, 0 for the host. */
  readonly space: number;
  /** The kernel's name of the open file. */
  readonly kh: number;
  /** Whether somebody wants to be woken. */
  readonly waits: boolean;
}

/** Waiting is another part's (daemon/change_waits.ts). Called by serving threads; synchronous. */
export interface ChangeEvents {
  /** @param open opens the kernel's file @returns whether there was a change since the last read */
  poll(polled: Polled, open: () => number): boolean;
  /** The file is being read: only what changes from now on is news. */
  noteRead(handle: number): void;
  close(handle: number): void;
}

export function tellsOfChanges(file: string): boolean {
  return /\.events(\.local)?$/.test(file);
}

/** Opens the file of a node with the server's own rights. @throws if it is gone */
export function openNode(
  cgroups: Cgroups,
  names: FileNames,
  { owner, local }: { readonly owner: number; readonly local: number },
): number {
  const { slot, id, file } = nodeOf(owner, local);
  const mounted = cgroups.bySlot(slot);
  const name = names.nameOf(file);
  if (mounted === undefined || name === undefined) throw new Error(`There is no node ${owner}`);
  return cgroups.withDirectory(mounted, id, (fd) => openEntry(fd, bytesOf(name), O_RDONLY));
}
