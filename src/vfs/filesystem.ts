/**
 * The mechanics of files, once for all of them: names, attributes, directories, open, read, close.
 * What there is and what it says comes from a `NodeSource`; texts of open files are kept in
 * `OpenFiles`.
 */
import type { Operations } from "../fuse/operations.ts";
import { FOPEN, FUSE_POLL_SCHEDULE_NOTIFY, READ_FLAG } from "../fuse/wire/abi.ts";
import { errno } from "../sys/errno.ts";
import { attributesWriter, nodeIdOf } from "./node_attributes.ts";
import { localOf, ownerOf } from "./node_id.ts";
import { ALWAYS_READY, type NodeEvents } from "./node_events.ts";
import type { NodeSource } from "./node_source.ts";
import { NO_PLACE, type OpenFiles, UNKNOWN_OWNER } from "./open_files.ts";

export interface FilesystemOptions {
  readonly source: NodeSource;
  readonly openFiles: OpenFiles;
  /** Files that can be written to or waited for. */
  readonly events?: NodeEvents;
  /** Times of all nodes: when the mount was made. Seconds since the epoch. */
  readonly startSeconds: number;
  /** Told of each read, for the counters: the file, whether it was answered, and the reader. */
  readonly onRead: (local: number, answered: boolean, reader: number) => void;
  /** Whether there is no time to find out who asks. */
  readonly isLate?: () => boolean;
}

const O_ACCMODE = 3;
const O_RDONLY = 0;
const FATTR_SIZE = 1 << 3;
/** Attribute bits that come along with a truncation, and mean nothing of their own then. */
const FATTR_HARMLESS = FATTR_SIZE | (1 << 6) | (1 << 9) | (1 << 10);

/** @returns the operations of one serving thread */
export function filesystemOf(options: FilesystemOptions): Operations {
  const { source, openFiles, events, onRead } = options;
  const attributesOf = attributesWriter(options.startSeconds);

  return {
    lookup(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const found = source.lookup(owner, localOf(request.nodeLow), request.name, request.pid);
      if (found === undefined) return -errno.ENOENT;
      const { validSeconds, attributesSeconds = validSeconds } = found;
      const id = nodeIdOf(found.owner, found.local);
      return reply.entry(id, attributesOf(found), validSeconds, attributesSeconds);
    },

    getattr(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const node = source.stat(owner, localOf(request.nodeLow), request.pid);
      if (node === undefined) return -errno.ESTALE;
      return reply.attributes(attributesOf(node), node.attributesSeconds ?? node.validSeconds);
    },

    setattr(request, reply) {
      // open(O_TRUNC), as shells do it, truncates nothing here, as in procfs. All else is refused.
      if ((request.valid & ~FATTR_HARMLESS) !== 0) return -errno.EPERM;
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const node = source.stat(owner, localOf(request.nodeLow), request.pid);
      if (node === undefined) return -errno.ESTALE;
      return reply.attributes(attributesOf(node), node.attributesSeconds ?? node.validSeconds);
    },

    readlink(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const target = source.readlink(owner, localOf(request.nodeLow), request.pid);
      return target === undefined ? -errno.ESTALE : reply.text(target);
    },

    open(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const local = localOf(request.nodeLow);
      // Who it is is found out at the read, then.
      const isLate = options.isLate?.() === true;
      const reader = isLate ? UNKNOWN_OWNER : source.reader(owner, local, request.pid);
      const keeps = (request.flags & O_ACCMODE) === O_RDONLY || events?.has(local) === true;
      const handle = keeps ? openFiles.open(reader) : NO_PLACE;
      return reply.opened(handle, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
    },

    read(request, reply) {
      const { fh, offset, size } = request;
      // sendfile(2) and mmap(2) go by the page cache even where reads do not, and one page would
      // answer whoever asks next, with another's values. Refused, programs read instead.
      if ((request.readFlags & READ_FLAG.LOCKOWNER) === 0) return -errno.EINVAL;
      if (offset > 0) {
        const count = openFiles.read(fh, offset, size, reply.data);
        if (count >= 0) return count;
      }
      const local = localOf(request.nodeLow);
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const reader = openFiles.owner(fh) ?? source.reader(owner, local, request.pid);
      const text = source.text(reader, local);
      onRead(local, text !== undefined, reader);
      if (text === undefined) return -errno.EIO;
      openFiles.keep(fh, text, local);
      return reply.slice(text, offset, size);
    },

    write(request, reply) {
      const { fh, nodeLow, nodeHigh, pid } = request;
      const local = localOf(nodeLow);
      // As the kernel's own files of these names: open for writing, written to by nobody.
      if (events?.has(local) !== true) return -errno.EIO;
      const reader = openFiles.owner(fh) ?? source.reader(ownerOf(nodeLow, nodeHigh), local, pid);
      const taken = events.write(fh, reader, local, pid, request.data());
      return taken < 0 ? taken : reply.written(taken);
    },

    ...(events?.canPoll === true && {
      poll(request, reply) {
        const local = localOf(request.nodeLow);
        if (!events.has(local)) return reply.polled(ALWAYS_READY);
        const waits = (request.flags & FUSE_POLL_SCHEDULE_NOTIFY) !== 0;
        return reply.polled(events.poll(request.fh, local, request.kh, waits));
      },
    }),

    release(request) {
      if (events?.has(localOf(request.nodeLow)) === true) events.close(request.fh);
      openFiles.close(request.fh);
      return 0;
    },

    // Nothing here takes long enough to be interrupted. But had the kernel no answer to that, its
    // readers would wait in a state (D) that counts as load.
    interrupt() {},

    opendir(_request, reply) {
      // No handle is needed; but without an answer of ours the kernel would keep one list for all.
      return reply.opened(0);
    },

    readdir(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const nodes = source.list(owner, localOf(request.nodeLow), request.pid);
      for (let index = request.offset; index < nodes.length; index++) {
        const node = nodes[index];
        if (node === undefined) break;
        const ino = nodeIdOf(node.owner, node.local);
        if (!reply.dirent(ino, node.name, node.mode, index + 1)) break;
      }
      return reply.length;
    },

    mkdir: () => -errno.EPERM,
    mknod: () => -errno.EPERM,
    create: () => -errno.EPERM,
    unlink: () => -errno.EPERM,
    rmdir: () => -errno.EPERM,
    rename: () => -errno.EPERM,
    symlink: () => -errno.EPERM,
    link: () => -errno.EPERM,
  };
}
