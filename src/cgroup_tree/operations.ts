/**
 * The cgroup tree as operations of the filesystem. For every request anew: who asks, where the
 * directory stands for that caller (context.ts), what the kernel would let that caller do
 * (access.ts).
 *
 * A cgroup that is not the caller's business does not exist: ENOENT by name, and ENODEV, as of a
 * cgroup that was removed, by a descriptor that came from elsewhere.
 */
import { fstatSync } from "node:fs";
import type { Operations } from "../fuse/operations.ts";
import { errno } from "../sys/errno.ts";
import { changeOperations } from "./changes.ts";
import { answer, type CgroupTreeOptions, TreeContext } from "./context.ts";
import { FOREIGN } from "./decide.ts";
import { directoryOperations } from "./directories.ts";
import {
  aboveEntry,
  ancestorAttributes,
  attributesOf,
  attributesOfSeen,
  nodeEntry,
  S_IFDIR,
} from "./entries.ts";
import { fileOperations } from "./files.ts";
import { NOTHING_DEPTH } from "./node.ts";

export interface CgroupTree {
  /** For nodes of the tree. */
  readonly operations: Operations;
  /** The directory that holds the hierarchies. */
  readonly top: Required<Pick<Operations, "lookup" | "readdir">>;
}

/** @returns the operations of one serving thread */
export function cgroupTreeOf(options: CgroupTreeOptions): CgroupTree {
  const context = new TreeContext(options);
  const operations: Operations = {
    ...directoryOperations(context),
    ...fileOperations(context),
    ...changeOperations(context),

    getattr(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") {
          return reply.attributes(ancestorAttributes(seen.id), 0);
        }
        return reply.attributes(attributesOfSeen(context, seen), 0);
      });
    },

    mknod: () => -errno.EPERM,
    create: () => -errno.EACCES,
    unlink: () => -errno.EPERM,
    rename: () => -errno.EPERM,
    symlink: () => -errno.EPERM,
    link: () => -errno.EPERM,
    readlink: () => -errno.EINVAL,
  };
  return { operations, top: topOf(context) };
}

/** The directory that holds the hierarchies; there each has its name, whoever looks. */
function topOf(context: TreeContext): CgroupTree["top"] {
  const { cgroups, callers } = context;
  return {
    lookup(request, reply) {
      return answer(() => {
        const mounted = cgroups.byName(request.name);
        const caller = mounted && callers.of(request.pid);
        if (mounted === undefined || caller === undefined) return -errno.ENOENT;
        const { slot, topId } = mounted;
        const standing = context.standing(caller, mounted, topId);
        if (standing === FOREIGN) return -errno.ENOENT;
        if (standing.is === "ancestor") {
          const rootId = caller.rootId(mounted.hierarchy);
          return rootId === undefined || standing.step === undefined
            ? aboveEntry(reply, mounted, topId, NOTHING_DEPTH, topId)
            : aboveEntry(reply, mounted, rootId, 0, topId);
        }
        const attributes = attributesOf(fstatSync(mounted.fd));
        return nodeEntry(reply, { slot, id: topId, depth: 0, file: 0 }, attributes);
      });
    },

    readdir(request, reply) {
      for (let index = request.offset; index < cgroups.mounted.length; index++) {
        const mounted = cgroups.mounted[index];
        if (mounted === undefined) break;
        if (!reply.dirent(mounted.topId, mounted.name, S_IFDIR, index + 1)) break;
      }
      return reply.length;
    },
  };
}
