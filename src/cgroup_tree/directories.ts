/** Directories of the tree: look up, list, make, remove. */
import { fchownSync, fstatSync } from "node:fs";
import type { Operations } from "../fuse/operations.ts";
import type { Reply } from "../fuse/wire/reply.ts";
import { errno } from "../sys/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  closeFd,
  makeDirectoryAt,
  openEntry,
  removeDirectoryAt,
  seekTo,
} from "../sys/native.ts";
import { answer, type Seen, type TreeContext } from "./context.ts";
import { direntsOf } from "./dirents.ts";
import {
  aboveEntry,
  attributesOf,
  entryOf,
  isEntryName,
  nodeEntry,
  S_IFDIR,
  S_IFREG,
  statEntry,
} from "./entries.ts";
import { actorFor, type Identity } from "./identity.ts";
import { MAX_DEPTH } from "./node.ts";
import { openAs } from "./open_as.ts";

const O_RDONLY = 0;
const PERMISSIONS = 0o7777;

type DirectoryOperations = Required<
  Pick<Operations, "lookup" | "opendir" | "readdir" | "mkdir" | "rmdir">
>;

export function directoryOperations(context: TreeContext): DirectoryOperations {
  const { cgroups, acting } = context;
  return {
    lookup(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        const name = request.nameBytes();
        if (seen === undefined || !isEntryName(name)) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") return lookUpStep(context, reply, seen, name);
        if (context.isHidden(seen, name.toString("latin1"))) return -errno.ENOENT;
        const stats = cgroups.withDirectory(seen.mounted, seen.id, (fd) => statEntry(fd, name));
        return entryOf(context, reply, seen, stats, name);
      });
    },

    opendir(request, reply) {
      return answer(() => {
        return context.see(request) === undefined ? -errno.ENOENT : reply.opened(0);
      });
    },

    readdir(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") {
          const name = context.stepName(seen);
          const { step } = seen.standing;
          if (request.offset === 0 && step !== undefined && name !== undefined) {
            reply.dirent(step, name, S_IFDIR, 1);
          }
          return reply.length;
        }
        const fd = openAs(context, seen, context.identityOf(seen, request), O_RDONLY);
        try {
          if (request.offset > 0) seekTo(fd, request.offset);
          for (const { ino, name, type, next } of direntsOf(fd, context.direntBuffer)) {
            if (!isEntryName(name) || context.isHidden(seen, name.toString("latin1"))) continue;
            const mode = type === "directory" ? S_IFDIR : S_IFREG;
            if (!reply.dirent(ino, name, mode, next)) break;
          }
        } finally {
          closeFd(fd);
        }
        return reply.length;
      });
    },

    mkdir(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") return -errno.EPERM;
        const name = Buffer.from(request.nameBytes());
        if (!isEntryName(name)) return -errno.EINVAL;
        const identity = context.identityOf(seen, request);
        return cgroups.withDirectory(seen.mounted, seen.id, (directoryFd) => {
          makeDirectory(context, directoryFd, name, request.mode & PERMISSIONS, identity);
          return entryOf(context, reply, seen, statEntry(directoryFd, name), name);
        });
      });
    },

    rmdir(request) {
      return answer(() => {
        const seen = context.see(request);
        const name = request.nameBytes();
        if (seen === undefined || !isEntryName(name)) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") {
          return context.stepName(seen)?.equals(name) ? -errno.EBUSY : -errno.ENOENT;
        }
        const identity = context.identityOf(seen, request);
        cgroups.withDirectory(seen.mounted, seen.id, (directoryFd) => {
          const actor = actorFor(identity, fstatSync(directoryFd));
          acting.as(actor, () => removeDirectoryAt(directoryFd, name));
        });
        return 0;
      });
    },
  };
}

/** The one name that an ancestor has. Those beside it are not looked at: no time tells of them. */
function lookUpStep(context: TreeContext, reply: Reply, seen: Seen, name: Buffer): number {
  const { mounted, viewer, standing } = seen;
  if (standing.is !== "ancestor" || standing.step === undefined) return -errno.ENOENT;
  if (viewer === undefined || !context.stepName(seen)?.equals(name)) return -errno.ENOENT;
  const { step } = standing;
  const depth = seen.depth + 1;
  if (step !== viewer) {
    return depth < MAX_DEPTH ? aboveEntry(reply, mounted, viewer, depth, step) : -errno.ENOENT;
  }
  const stats = context.cgroups.withDirectory(mounted, step, (fd) => fstatSync(fd));
  return nodeEntry(reply, { slot: mounted.slot, id: step, depth, file: 0 }, attributesOf(stats));
}

/** Makes a cgroup with the mode asked for, the caller its owner. */
function makeDirectory(
  { acting, direntBuffer }: TreeContext,
  directoryFd: number,
  name: Buffer,
  mode: number,
  identity: Identity,
): void {
  const actor = actorFor(identity, fstatSync(directoryFd));
  acting.as(actor, () => {
    makeDirectoryAt(directoryFd, name, mode);
    // The server's own umask is not the caller's, which the kernel has applied before.
    changeModeAt(directoryFd, name, mode);
  });
  const { filesystemUid: uid, filesystemGid: gid } = identity;
  if (actor.filesystemUid === uid && actor.filesystemGid === gid) return;
  const fd = openEntry(directoryFd, name, O_RDONLY);
  try {
    // Not what was made a moment ago: somebody put another one in its place.
    if (fstatSync(fd).uid !== actor.filesystemUid) return;
    for (const each of direntsOf(fd, direntBuffer)) {
      if (isEntryName(each.name)) changeOwnerAt(fd, each.name, uid, gid);
    }
    fchownSync(fd, uid, gid);
  } finally {
    closeFd(fd);
  }
}
