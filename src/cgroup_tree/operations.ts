/**
 * The cgroup tree as operations of the filesystem. For every request anew: who asks, where the
 * directory stands for that caller, what the kernel would let that caller do.
 *
 * A cgroup that is not the caller's business does not exist: ENOENT by name, and ENODEV, as of a
 * cgroup that was removed, by a descriptor that came from elsewhere.
 */
import { fchmodSync, fchownSync, fstatSync, writeSync } from "node:fs";
import type { CgroupLayout } from "../cgroup/layout.ts";
import { cgroupDirectory } from "../cgroup/paths.ts";
import type { Operations, RequestHeader, SetattrRequest } from "../fuse/operations.ts";
import { FATTR, FOPEN } from "../fuse/wire/abi.ts";
import type { Attributes, Reply } from "../fuse/wire/reply.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import {
  changeModeAt,
  changeOwnerAt,
  closeFd,
  makeDirectoryAt,
  openEntry,
  removeDirectoryAt,
  seekTo,
} from "../sys/native.ts";
import { readFdBytes, tryReadFile } from "../sys/read.ts";
import { nodeIdOf } from "../vfs/node_attributes.ts";
import { localOf, ownerOf } from "../vfs/node_id.ts";
import type { OpenFiles } from "../vfs/open_files.ts";
import { Acting } from "./act_as.ts";
import { type Caller, Callers } from "./callers.ts";
import {
  armsTrigger,
  FOREIGN,
  isDelegatable,
  isOfTheServer,
  movesWhat,
  type Standing,
  standingOf,
  V2_DELEGATABLE,
} from "./decide.ts";
import { direntsOf } from "./dirents.ts";
import { type MountedHierarchy, openHierarchies } from "./hierarchies.ts";
import {
  actorFor,
  CAPABILITY,
  type Identity,
  itself,
  mayGiveAway,
  type Owner,
  UNCHANGED,
} from "./identity.ts";
import { move } from "./move.ts";
import type { FileNames } from "./names.ts";
import { localOfNode, nodeOf } from "./node.ts";
import { PidNamespace, translateList } from "./pids.ts";
import { Cgroups } from "./tree.ts";

export interface CgroupTreeOptions {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly names: FileNames;
  readonly openFiles: OpenFiles;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly nowMs: () => number;
}

export interface CgroupTree {
  /** For nodes of the tree. */
  readonly operations: Operations;
  /** The directory that holds the hierarchies. */
  readonly top: Required<Pick<Operations, "lookup" | "readdir">>;
}

const O_PATH_NOFOLLOW = 0o10000000 | (process.arch === "arm64" ? 0o100000 : 0o400000);
const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const PERMISSIONS = 0o7777;
const ANCESTOR_MODE = S_IFDIR | 0o555;
const SELF = Buffer.from(".");
/** POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM. */
const ALWAYS_READY = 0x145;
/** Handles from here on tell who opened the file for writing. */
const WRITER = 2 ** 52;

/** One directory as one caller sees it. */
interface Seen {
  readonly caller: Caller;
  readonly mounted: MountedHierarchy;
  readonly id: number;
  readonly standing: Standing;
  /** Name of the file that is meant; `undefined`: the directory. */
  readonly file: string | undefined;
}

interface Stats {
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

/** A caller that changed its user between its request and now. */
class IdentityChanged extends Error {
  readonly errno = errno.EACCES;
}

/** @returns the operations of one serving thread */
export function cgroupTreeOf(options: CgroupTreeOptions): CgroupTree {
  const { procRoot, layout, names, openFiles } = options;
  const cgroups = new Cgroups(openHierarchies(layout));
  const callers = new Callers({ procRoot, layout, nowMs: options.nowMs });
  const acting = new Acting();
  const delegatable = v2Delegatable();
  const direntBuffer = Buffer.alloc(32 << 10);

  const standing = (caller: Caller, mounted: MountedHierarchy, id: number): Standing => {
    if (caller.isHost) return { is: "below" };
    const rootId = caller.rootId(mounted.hierarchy);
    return standingOf(id, rootId, mounted.topId, (each) => cgroups.parentOf(mounted, each));
  };

  /** @returns `undefined` where there is nothing for this caller */
  const see = (request: RequestHeader): Seen | undefined => {
    const node = nodeOf(ownerOf(request.nodeLow, request.nodeHigh), localOf(request.nodeLow));
    const mounted = cgroups.bySlot(node.slot);
    const caller = mounted && callers.of(request.pid);
    const file = node.file === 0 ? undefined : names.nameOf(node.file);
    if (mounted === undefined || caller === undefined) return undefined;
    if (node.file !== 0 && file === undefined) return undefined;
    const stands = standing(caller, mounted, node.id);
    if (stands.is === "foreign" || (stands.is === "ancestor" && file !== undefined)) {
      return undefined;
    }
    return { caller, mounted, id: node.id, standing: stands, file };
  };

  const identityOf = (seen: Seen, request: RequestHeader): Identity => {
    const identity = seen.caller.identity();
    if (identity.filesystemUid !== request.uid || identity.filesystemGid !== request.gid) {
      throw new IdentityChanged("Cannot act for a thread whose ids are not those of its request");
    }
    return identity;
  };

  const isHidden = (seen: Seen, file: string): boolean =>
    !seen.caller.isHost && isOfTheServer(file);

  /** Limits and the like of the caller's own topmost cgroup are not its own to change. */
  const isProtected = (seen: Seen, file: string): boolean =>
    seen.standing.is === "own" && !isDelegatable(seen.mounted.hierarchy.version, file, delegatable);

  const statEntry = (directoryFd: number, name: Buffer): Stats => {
    const fd = openEntry(directoryFd, name, O_PATH_NOFOLLOW);
    try {
      return fstatSync(fd);
    } finally {
      closeFd(fd);
    }
  };

  const statOf = (seen: Seen): Stats =>
    cgroups.withDirectory(seen.mounted, seen.id, (fd) =>
      seen.file === undefined ? fstatSync(fd) : statEntry(fd, bytesOf(seen.file)),
    );

  const attributesOf = (stats: Stats, isAncestor: boolean): Attributes => ({
    ino: stats.ino,
    mode: isAncestor ? ANCESTOR_MODE : stats.mode,
    nlink: isAncestor ? 2 : stats.nlink,
    uid: isAncestor ? 0 : stats.uid,
    gid: isAncestor ? 0 : stats.gid,
    atimeSeconds: isAncestor ? 0 : stats.atimeMs / 1000,
    mtimeSeconds: isAncestor ? 0 : stats.mtimeMs / 1000,
    ctimeSeconds: isAncestor ? 0 : stats.ctimeMs / 1000,
  });

  const isDirectory = (stats: Stats): boolean => (stats.mode & 0o170000) === S_IFDIR;

  const entry = (
    reply: Reply,
    mounted: MountedHierarchy,
    nodeId: number,
    file: number,
    attributes: Attributes,
  ): number => reply.entry(nodeIdOf(nodeId, localOfNode(mounted.slot, file)), attributes, 0, 0);

  /** An entry of a directory that is the caller's, by what it is. */
  const entryOf = (reply: Reply, seen: Seen, stats: Stats, name: Buffer): number => {
    const attributes = attributesOf(stats, false);
    if (isDirectory(stats)) return entry(reply, seen.mounted, stats.ino, 0, attributes);
    const number = names.numberOf(name.toString("latin1"));
    if (number === undefined) return -errno.ENOENT;
    return entry(reply, seen.mounted, seen.id, number, attributes);
  };

  /** Opens the file that is meant, as the caller may. */
  const openAs = (seen: Seen, identity: Identity, flags: number): number => {
    const name = bytesOf(seen.file ?? ".");
    return cgroups.withDirectory(seen.mounted, seen.id, (directoryFd) => {
      const owner = statEntry(directoryFd, name);
      return acting.as(actorFor(identity, owner), () => openEntry(directoryFd, name, flags));
    });
  };

  const textOf = (seen: Seen, identity: Identity): Buffer => {
    const fd = openAs(seen, identity, O_RDONLY);
    let text: Buffer;
    try {
      // A copy: translating it reads other files into the same memory.
      text = Buffer.from(readFdBytes(fd));
    } finally {
      closeFd(fd);
    }
    if (movesWhat(seen.file ?? "") === undefined || seen.caller.samePids) return text;
    const namespace = new PidNamespace(procRoot, seen.caller.tid);
    try {
      return translateList(text, namespace);
    } finally {
      namespace.close();
    }
  };

  /** Opens and writes as the caller: the kernel asks some questions at the one, some at the other. */
  const writeAs = (seen: Seen, identity: Identity, data: Buffer): number => {
    const fd = openAs(seen, identity, O_WRONLY);
    try {
      return acting.as(itself(identity), () => writeSync(fd, data));
    } finally {
      closeFd(fd);
    }
  };

  const moveInto = (seen: Seen, identity: Identity, text: string): void => {
    const { caller, mounted, file = "" } = seen;
    move({
      procRoot,
      layout,
      hierarchy: mounted.hierarchy,
      caller,
      what: movesWhat(file) ?? "process",
      text,
      write: (number) => writeAs(seen, identity, Buffer.from(number)),
      putBack(hostPid, path) {
        const directory = cgroupDirectory(mounted.hierarchy, path);
        if (directory === undefined) return;
        cgroups.withDirectory(mounted, mounted.topId, (topFd) => {
          const below = directory.slice(mounted.hierarchy.mountPoint.length + 1);
          const name = bytesOf(below === "" ? "cgroup.procs" : `${below}/cgroup.procs`);
          const fd = openEntry(topFd, name, O_WRONLY);
          try {
            writeSync(fd, String(hostPid));
          } finally {
            closeFd(fd);
          }
        });
      },
    });
  };

  const changeOwner = (
    request: SetattrRequest,
    seen: Seen,
    identity: Identity,
    fd: number,
    owner: Owner,
  ): void => {
    const uid = (request.valid & FATTR.UID) === 0 ? UNCHANGED : request.ownerUid;
    const gid = (request.valid & FATTR.GID) === 0 ? UNCHANGED : request.ownerGid;
    const change = (): void => {
      if (seen.file !== undefined) {
        changeOwnerAt(fd, bytesOf(seen.file), uid, gid);
        return;
      }
      fchownSync(fd, uid, gid);
      if (seen.mounted.hierarchy.version === 2) return;
      // As LXCFS does: who is given a cgroup is to move processes in it.
      for (const name of ["tasks", "cgroup.procs"]) changeOwnerAt(fd, bytesOf(name), uid, gid);
    };
    if (mayGiveAway(identity, owner, uid, gid)) change();
    else acting.as(itself(identity), change);
  };

  const changeMode = (
    seen: Seen,
    identity: Identity,
    fd: number,
    owner: Owner,
    mode: number,
  ): void =>
    acting.as(actorFor(identity, owner, CAPABILITY.FOWNER), () => {
      if (seen.file === undefined) fchmodSync(fd, mode);
      else changeModeAt(fd, bytesOf(seen.file), mode);
    });

  /** Makes a cgroup with the mode asked for, the caller its owner, and opens it O_PATH. */
  const makeDirectory = (
    directoryFd: number,
    name: Buffer,
    mode: number,
    identity: Identity,
  ): void => {
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
      for (const each of direntsOf(fd, direntBuffer)) changeOwnerAt(fd, each.name, uid, gid);
      fchownSync(fd, uid, gid);
    } finally {
      closeFd(fd);
    }
  };

  /** Runs an operation; a system call that fails in it is its answer. */
  const answer = (work: () => number): number => {
    try {
      return work();
    } catch (error) {
      return -errnoOf(error);
    }
  };

  const operations: Operations = {
    lookup(request, reply) {
      return answer(() => {
        const seen = see(request);
        const name = request.nameBytes();
        if (seen === undefined || !isEntryName(name)) return -errno.ENOENT;
        const { mounted, standing: stands } = seen;
        if (stands.is === "ancestor") {
          // The names beside it are not looked at: not even the time this takes tells of them.
          const { step } = stands;
          const shown = step === undefined ? undefined : cgroups.nameOf(mounted, step);
          if (step === undefined || shown === undefined || !shown.equals(name)) {
            return -errno.ENOENT;
          }
          const isAncestor = standing(seen.caller, mounted, step).is === "ancestor";
          const stats = cgroups.withDirectory(mounted, step, (fd) => fstatSync(fd));
          return entry(reply, mounted, step, 0, attributesOf(stats, isAncestor));
        }
        if (isHidden(seen, name.toString("latin1"))) return -errno.ENOENT;
        const stats = cgroups.withDirectory(mounted, seen.id, (fd) => statEntry(fd, name));
        return entryOf(reply, seen, stats, name);
      });
    },

    getattr(request, reply) {
      return answer(() => {
        const seen = see(request);
        if (seen === undefined) return -errno.ENOENT;
        return reply.attributes(attributesOf(statOf(seen), seen.standing.is === "ancestor"), 0);
      });
    },

    setattr(request, reply) {
      return answer(() => {
        const seen = see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") return -errno.EPERM;
        const { valid } = request;
        if ((valid & (FATTR.MODE | FATTR.UID | FATTR.GID)) !== 0) {
          if (seen.file !== undefined && isProtected(seen, seen.file)) return -errno.EPERM;
          const identity = identityOf(seen, request);
          cgroups.withDirectory(seen.mounted, seen.id, (fd) => {
            const owner =
              seen.file === undefined ? fstatSync(fd) : statEntry(fd, bytesOf(seen.file));
            if ((valid & (FATTR.UID | FATTR.GID)) !== 0) {
              changeOwner(request, seen, identity, fd, owner);
            }
            if ((valid & FATTR.MODE) !== 0) {
              changeMode(seen, identity, fd, owner, request.mode & PERMISSIONS);
            }
          });
        }
        // A length and times are taken, and mean nothing: as with the kernel's own files.
        return reply.attributes(attributesOf(statOf(seen), false), 0);
      });
    },

    open(request, reply) {
      return answer(() => {
        const seen = see(request);
        if (seen?.file === undefined) return -errno.ENOENT;
        const identity = identityOf(seen, request);
        const access = request.flags & O_ACCMODE;
        closeFd(openAs(seen, identity, access));
        const handle = access === O_RDONLY ? openFiles.open(0) : WRITER + identity.filesystemUid;
        return reply.opened(handle, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
      });
    },

    read(request, reply) {
      return answer(() => {
        const { fh, offset, size } = request;
        const seen = see(request);
        if (seen === undefined) return -errno.ENODEV;
        if (offset > 0) {
          const count = openFiles.read(fh, offset, size, reply.data);
          if (count >= 0) return count;
        }
        const text = textOf(seen, identityOf(seen, request));
        openFiles.keep(fh, text);
        return reply.slice(text, offset, size);
      });
    },

    write(request, reply) {
      return answer(() => {
        const seen = see(request);
        const file = seen?.file;
        if (seen === undefined || file === undefined) return -errno.ENODEV;
        const identity = identityOf(seen, request);
        // A descriptor that was opened by one user and passed to another writes for neither.
        if (request.fh !== WRITER + identity.filesystemUid) return -errno.EACCES;
        if (isProtected(seen, file)) return -errno.EPERM;
        if (armsTrigger(file)) return -errno.EOPNOTSUPP;
        const data = request.data();
        if (movesWhat(file) !== undefined) {
          moveInto(seen, identity, data.toString("latin1"));
          return reply.written(data.length);
        }
        return reply.written(writeAs(seen, identity, data));
      });
    },

    release(request) {
      if (request.fh < WRITER) openFiles.close(request.fh);
      return 0;
    },

    opendir(request, reply) {
      return answer(() => {
        const seen = see(request);
        return seen === undefined ? -errno.ENOENT : reply.opened(0);
      });
    },

    readdir(request, reply) {
      return answer(() => {
        const seen = see(request);
        if (seen === undefined) return -errno.ENOENT;
        const { mounted, id, standing: stands } = seen;
        if (stands.is === "ancestor") {
          const { step } = stands;
          const name = step === undefined ? undefined : cgroups.nameOf(mounted, step);
          if (request.offset === 0 && step !== undefined && name !== undefined) {
            reply.dirent(step, name, S_IFDIR, 1);
          }
          return reply.length;
        }
        const identity = identityOf(seen, request);
        cgroups.withDirectory(mounted, id, (directoryFd) => {
          const actor = actorFor(identity, fstatSync(directoryFd));
          const fd = acting.as(actor, () => openEntry(directoryFd, SELF, O_RDONLY));
          try {
            if (request.offset > 0) seekTo(fd, request.offset);
            for (const { ino, name, type, next } of direntsOf(fd, direntBuffer)) {
              const text = name.toString("latin1");
              if (text === "." || text === ".." || isHidden(seen, text)) continue;
              const mode = type === "directory" ? S_IFDIR : S_IFREG;
              if (!reply.dirent(ino, name, mode, next)) break;
            }
          } finally {
            closeFd(fd);
          }
        });
        return reply.length;
      });
    },

    mkdir(request, reply) {
      return answer(() => {
        const seen = see(request);
        if (seen === undefined) return -errno.ENOENT;
        if (seen.standing.is === "ancestor") return -errno.EPERM;
        const name = Buffer.from(request.nameBytes());
        if (!isEntryName(name)) return -errno.EINVAL;
        const identity = identityOf(seen, request);
        return cgroups.withDirectory(seen.mounted, seen.id, (directoryFd) => {
          makeDirectory(directoryFd, name, request.mode & PERMISSIONS, identity);
          return entryOf(reply, seen, statEntry(directoryFd, name), name);
        });
      });
    },

    rmdir(request) {
      return answer(() => {
        const seen = see(request);
        const name = request.nameBytes();
        if (seen === undefined || !isEntryName(name)) return -errno.ENOENT;
        const { mounted, standing: stands } = seen;
        if (stands.is === "ancestor") {
          const shown =
            stands.step === undefined ? undefined : cgroups.nameOf(mounted, stands.step);
          return shown?.equals(name) ? -errno.EBUSY : -errno.ENOENT;
        }
        const identity = identityOf(seen, request);
        cgroups.withDirectory(mounted, seen.id, (directoryFd) => {
          const actor = actorFor(identity, fstatSync(directoryFd));
          acting.as(actor, () => removeDirectoryAt(directoryFd, name));
        });
        return 0;
      });
    },

    /** Events of these files are not passed on: what can be read can be read at once. */
    poll: (request, reply) => reply.polled(request.events & ALWAYS_READY),

    mknod: () => -errno.EPERM,
    create: () => -errno.EACCES,
    unlink: () => -errno.EPERM,
    rename: () => -errno.EPERM,
    symlink: () => -errno.EPERM,
    link: () => -errno.EPERM,
    readlink: () => -errno.EINVAL,
  };

  const top: CgroupTree["top"] = {
    lookup(request, reply) {
      return answer(() => {
        const mounted = cgroups.byName(request.name);
        const caller = mounted && callers.of(request.pid);
        if (mounted === undefined || caller === undefined) return -errno.ENOENT;
        const stands = standing(caller, mounted, mounted.topId);
        if (stands === FOREIGN) return -errno.ENOENT;
        const attributes = attributesOf(fstatSync(mounted.fd), stands.is === "ancestor");
        return entry(reply, mounted, mounted.topId, 0, attributes);
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

  return { operations, top };
}

function bytesOf(name: string): Buffer {
  return Buffer.from(name, "latin1");
}

/** A name of one entry: the kernel sends no other, and no other is let through. */
function isEntryName(name: Buffer): boolean {
  const text = name.toString("latin1");
  return text !== "" && text !== "." && text !== ".." && !text.includes("/");
}

function v2Delegatable(): ReadonlySet<string> {
  const text = tryReadFile("/sys/kernel/cgroup/delegate");
  return text === undefined ? V2_DELEGATABLE : new Set(text.split("\n").filter(Boolean));
}
