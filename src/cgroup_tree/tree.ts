/**
 * Cgroups by their ids. Nothing here is found by walking a path that somebody else could change: a
 * directory is opened by the kernel's handle of it (open_by_handle_at(2), Linux 5.5), an entry by one
 * name in it.
 *
 * Who is above whom never changes while a cgroup lives (v1 renames stay within the parent, v2 has
 * none), and ids are not used again; so that is remembered for good.
 */
import { fstatSync, readlinkSync } from "node:fs";
import { errno, errnoOf, SystemError } from "../sys/errno.ts";
import { closeFd, openByHandle, openParent } from "../sys/native.ts";
import type { MountedHierarchy } from "./hierarchies.ts";

const MAX_KNOWN_PARENTS = 1 << 16;
const SLASH = 0x2f;

export class Cgroups {
  readonly mounted: readonly MountedHierarchy[];
  readonly #parents = new Map<MountedHierarchy, Map<number, number>>();

  constructor(mounted: readonly MountedHierarchy[]) {
    this.mounted = mounted;
    for (const each of mounted) this.#parents.set(each, new Map());
  }

  bySlot(slot: number): MountedHierarchy | undefined {
    return this.mounted.find((each) => each.slot === slot);
  }

  byName(name: string): MountedHierarchy | undefined {
    return this.mounted.find((each) => each.name === name);
  }

  /**
   * Does `work` with a descriptor of the cgroup's directory.
   * @throws SystemError ENOENT if the cgroup is gone
   */
  withDirectory<T>(mounted: MountedHierarchy, id: number, work: (fd: number) => T): T {
    let fd: number;
    try {
      fd = openByHandle(mounted.fd, id);
    } catch (error) {
      if (errnoOf(error) !== errno.ESTALE) throw error;
      throw new SystemError(`open cgroup ${id} of ${mounted.name}`, errno.ENOENT);
    }
    try {
      return work(fd);
    } finally {
      closeFd(fd);
    }
  }

  /** The cgroup above; `undefined` above the topmost, and for one that is gone. */
  parentOf(mounted: MountedHierarchy, id: number): number | undefined {
    if (id === mounted.topId) return undefined;
    const known = this.#parents.get(mounted);
    const parent = known?.get(id);
    if (parent !== undefined) return parent;
    const found = this.#findParent(mounted, id);
    if (found === undefined || known === undefined) return undefined;
    if (known.size >= MAX_KNOWN_PARENTS) known.clear();
    known.set(id, found);
    return found;
  }

  /** All cgroups from the topmost down to `id`; empty if they can't be found. */
  chainTo(mounted: MountedHierarchy, id: number): number[] {
    const chain = [id];
    for (let up = id; up !== mounted.topId; chain.push(up)) {
      const parent = this.parentOf(mounted, up);
      if (parent === undefined) return [];
      up = parent;
    }
    return chain.toReversed();
  }

  /** The last name of a cgroup's path at this moment, as bytes; `undefined` if it is gone. */
  nameOf(mounted: MountedHierarchy, id: number): Buffer | undefined {
    try {
      return this.withDirectory(mounted, id, (fd) => {
        const path = readlinkSync(`/proc/self/fd/${fd}`, { encoding: "buffer" });
        return path.subarray(path.lastIndexOf(SLASH) + 1);
      });
    } catch {
      return undefined;
    }
  }

  #findParent(mounted: MountedHierarchy, id: number): number | undefined {
    try {
      return this.withDirectory(mounted, id, (fd) => {
        const parentFd = openParent(fd);
        try {
          const { ino } = fstatSync(parentFd);
          return ino === id ? undefined : ino;
        } finally {
          closeFd(parentFd);
        }
      });
    } catch {
      return undefined;
    }
  }
}
