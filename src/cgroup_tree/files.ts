/** Files of the tree: open, read, write, close. */
import { writeSync } from "node:fs";
import type { Operations } from "../fuse/operations.ts";
import { FOPEN, FUSE_POLL_SCHEDULE_NOTIFY, READ_FLAG } from "../fuse/wire/abi.ts";
import { errno } from "../sys/errno.ts";
import { closeFd, POLL } from "../sys/native.ts";
import { readFdBytes } from "../sys/read.ts";
import { localOf, ownerOf } from "../vfs/node_id.ts";
import { ALWAYS_READY } from "../vfs/node_events.ts";
import { NO_PLACE } from "../vfs/open_files.ts";
import { tellsOfChanges } from "./change_events.ts";
import { answer, type Seen, type TreeContext } from "./context.ts";
import { armsTrigger, isOutsideDelegation, movesWhat } from "./decide.ts";
import { type Identity, itself } from "./identity.ts";
import { moveInto } from "./move_into.ts";
import { nodeOf } from "./node.ts";
import { openAs } from "./open_as.ts";
import { translateList } from "./pids.ts";

const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_WRONLY = 1;
/** Handles from here on tell who opened the file for writing. */
const WRITER = 2 ** 52;
const CHANGED = ALWAYS_READY | POLL.PRI | POLL.ERR;

type FileOperations = Required<Pick<Operations, "open" | "read" | "write" | "release" | "poll">>;

export function fileOperations(context: TreeContext): FileOperations {
  const { openFiles, changes } = context;
  return {
    open(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        if (seen?.file === undefined) return -errno.ENOENT;
        const identity = context.identityOf(seen, request);
        const access = request.flags & O_ACCMODE;
        closeFd(openAs(context, seen, identity, access));
        const handle = access === O_RDONLY ? openFiles.open(0) : WRITER + identity.filesystemUid;
        return reply.opened(handle, FOPEN.DIRECT_IO | FOPEN.NOFLUSH);
      });
    },

    read(request, reply) {
      return answer(() => {
        const { fh, offset, size, readFlags } = request;
        const seen = context.see(request);
        if (seen === undefined) return -errno.ENODEV;
        // For the page cache, by mmap(2) or sendfile(2), which would answer whoever asks next.
        if ((readFlags & READ_FLAG.LOCKOWNER) === 0) return -errno.EINVAL;
        if (offset > 0) {
          const count = openFiles.read(fh, offset, size, reply.data);
          if (count >= 0) return count;
        }
        if (tellsOfChanges(seen.file ?? "")) changes.noteRead(fh);
        const text = textOf(context, seen, context.identityOf(seen, request));
        openFiles.keep(fh, text);
        return reply.slice(text, offset, size);
      });
    },

    write(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        const file = seen?.file;
        if (seen === undefined || file === undefined) return -errno.ENODEV;
        const identity = context.identityOf(seen, request);
        // A descriptor that was opened by one user and passed to another writes for neither.
        if (request.fh !== WRITER + identity.filesystemUid) return -errno.EACCES;
        if (context.isProtected(seen, file)) return -errno.EPERM;
        if (!seen.caller.isHost && isOutsideDelegation(file)) return -errno.EPERM;
        if (armsTrigger(file)) return -errno.EOPNOTSUPP;
        const data = request.data();
        const write = (bytes: Buffer): number => writeAs(context, seen, identity, bytes);
        if (movesWhat(file) === undefined) return reply.written(write(data));
        moveInto(context, seen, data.toString("latin1"), write);
        return reply.written(data.length);
      });
    },

    release(request) {
      if (request.fh >= WRITER) return 0;
      const { file } = nodeOf(ownerOf(request.nodeLow, request.nodeHigh), localOf(request.nodeLow));
      if (tellsOfChanges(context.names.nameOf(file) ?? "")) changes.close(request.fh);
      openFiles.close(request.fh);
      return 0;
    },

    poll(request, reply) {
      return answer(() => {
        const seen = context.see(request);
        const { fh: handle, kh, nodeLow, nodeHigh } = request;
        // What the kernel says of a cgroup that was removed.
        if (seen?.file === undefined) return reply.polled(CHANGED);
        if (!tellsOfChanges(seen.file) || handle === NO_PLACE || handle >= WRITER) {
          return reply.polled(ALWAYS_READY);
        }
        const identity = context.identityOf(seen, request);
        const { caller, mounted } = seen;
        const changed = changes.poll(
          {
            handle,
            kh,
            owner: ownerOf(nodeLow, nodeHigh),
            local: localOf(nodeLow),
            space: caller.isHost ? 0 : (caller.rootId(mounted.hierarchy) ?? 0),
            waits: (request.flags & FUSE_POLL_SCHEDULE_NOTIFY) !== 0,
          },
          () => openAs(context, seen, identity, O_RDONLY),
        );
        return reply.polled(changed ? CHANGED : ALWAYS_READY);
      });
    },
  };
}

/** A file's text, as the caller may read it and with the caller's numbers of processes. */
function textOf(context: TreeContext, seen: Seen, identity: Identity): Buffer {
  const fd = openAs(context, seen, identity, O_RDONLY);
  let text: Buffer;
  try {
    // A copy: translating it reads other files into the same memory.
    text = Buffer.from(readFdBytes(fd));
  } finally {
    closeFd(fd);
  }
  if (movesWhat(seen.file ?? "") === undefined || seen.caller.samePids) return text;
  return context.inNamespaceOf(seen.caller, (namespace) => translateList(text, namespace));
}

/** Opens and writes as the caller: the kernel asks some questions at the one, some at the other. */
function writeAs(context: TreeContext, seen: Seen, identity: Identity, data: Buffer): number {
  const fd = openAs(context, seen, identity, O_WRONLY);
  try {
    return context.acting.as(itself(identity), () => writeSync(fd, data));
  } finally {
    closeFd(fd);
  }
}
