/**
 * Files that tell of their changes, by poll(2) and by inotify(7): `cgroup.events`,
 * `memory.events.local` and their like (Linux, Documentation/admin-guide/cgroup-v2.rst). A descriptor
 * of the kernel's own file knows what has changed since it was last read, so there is one for each of
 * ours that somebody polls. Those that somebody looks up may be watched from then on.
 */
import { openEntry } from "../sys/native.ts";
import { bytesOf } from "./bytes.ts";
import type { FileNames } from "./names.ts";
import { nodeOf } from "./node.ts";
import type { Cgroups } from "./tree.ts";

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

/** Opens the kernel's file of a node. @throws if it is gone */
export type OpenNode = (node: Pick<Polled, "owner" | "local">) => number;

/** A node that is looked up. */
export type LookedUp = Pick<Polled, "owner" | "local" | "space">;

/** Waiting is another part's (daemon/change_waits.ts). Called by serving threads; synchronous. */
export interface ChangeEvents {
  /** @param open opens the kernel's file @returns whether there was a change since the last read */
  poll(polled: Polled, open: () => number): boolean;
  /** The file is being read: only what changes from now on is news. */
  noteRead(handle: number): void;
  close(handle: number): void;
  lookUp(node: LookedUp, open: OpenNode): void;
  /** Whether this process asks in order to raise an event, and is to be told that it is done. */
  isRaiser(pid: number): boolean;
}

export function tellsOfChanges(file: string): boolean {
  return /\.events(\.local)?$/.test(file) || file === "cpuset.cpus.partition";
}

/** Opens the file of a node with the server's own rights. @throws if it is gone */
export function openNode(
  cgroups: Cgroups,
  names: FileNames,
  { owner, local }: Pick<Polled, "owner" | "local">,
  flags: number,
): number {
  const { slot, id, file } = nodeOf(owner, local);
  const mounted = cgroups.bySlot(slot);
  const name = names.nameOf(file);
  if (mounted === undefined || name === undefined) throw new Error(`There is no node ${owner}`);
  return cgroups.withDirectory(mounted, id, (fd) => openEntry(fd, bytesOf(name), flags));
}
