/**
 * What a filesystem implements. Every operation is optional and synchronous, gets the request and a
 * reply to write into, and returns **the length of its answer in bytes** (what the reply's writers
 * return; 0 where there is nothing to say) or **a negative errno**. An operation that throws answers
 * with the errno of what it threw, EIO if that has none, and is reported through `onError`: failures
 * that belong to ordinary life (ENOENT) are better returned.
 *
 * An operation that is missing is answered ENOSYS. For some the kernel then never asks again and
 * goes on as if it had succeeded: open, flush, opendir, release, access, fsync, statx, poll, xattr.
 *
 * `request` and `reply` are used again for the next request: keep nothing of them.
 */
import type { Reply } from "./wire/reply.ts";

/** In every request. */
export interface RequestHeader {
  readonly opcode: number;
  /** Exact up to 2^53; filesystems whose ids go beyond that use the words. */
  readonly nodeId: number;
  readonly nodeLow: number;
  readonly nodeHigh: number;
  /** Filesystem ids of the caller in the mount's user namespace; 2^32 - 1 under ALLOW_IDMAP. */
  readonly uid: number;
  readonly gid: number;
  /** The calling *thread* in the pid namespace the device was opened from; 0 if not visible there. */
  readonly pid: number;
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
  /** Sent before, to a server that went without answering: it may have been carried out. */
  readonly resent: boolean;
}

/** A name within the directory `nodeId`. */
export interface NameRequest extends RequestHeader {
  readonly name: string;
  /** As bytes, for filesystems whose names need not be UTF-8; valid until the operation returns. */
  nameBytes(): Buffer;
}

/** The same object for each pair of a BATCH_FORGET. */
export interface ForgetRequest extends RequestHeader {
  readonly nlookup: number;
}

export interface HandleRequest extends RequestHeader {
  readonly fh: number;
}

export interface GetattrRequest extends RequestHeader {
  /** Of the open file; 0 unless `hasFh`. */
  readonly fh: number;
  readonly hasFh: boolean;
}

export interface SetattrRequest extends RequestHeader {
  /** Which of the fields are meant: bits of `FATTR`. */
  readonly valid: number;
  readonly fh: number;
  readonly size: number;
  readonly mode: number;
  readonly ownerUid: number;
  readonly ownerGid: number;
  readonly atimeSeconds: number;
  readonly mtimeSeconds: number;
  readonly ctimeSeconds: number;
}

export interface OpenRequest extends RequestHeader {
  /** As given to open(2), without O_CREAT, O_EXCL and O_NOCTTY. */
  readonly flags: number;
}

export interface ReadRequest extends HandleRequest {
  readonly offset: number;
  /** The most that may be answered, in bytes. */
  readonly size: number;
  /** `FUSE_READ_*`. */
  readonly readFlags: number;
  /** Of the open file now (fcntl may have changed them). */
  readonly flags: number;
}

export interface WriteRequest extends HandleRequest {
  readonly offset: number;
  readonly size: number;
  readonly flags: number;
  /** What is to be written, `size` bytes; valid until the operation returns. */
  data(): Buffer;
}

export interface CreateRequest extends NameRequest {
  readonly mode: number;
  readonly umask: number;
  readonly flags: number;
}

export interface MkdirRequest extends NameRequest {
  readonly mode: number;
  readonly umask: number;
}

export interface MknodRequest extends MkdirRequest {
  readonly rdev: number;
}

export interface RenameRequest extends NameRequest {
  readonly newParent: number;
  readonly newName: string;
  /** RENAME_NOREPLACE (1), RENAME_EXCHANGE (2) */
  readonly flags: number;
}

export interface SymlinkRequest extends NameRequest {
  /** Where the new link points to. */
  readonly newName: string;
}

export interface LinkRequest extends NameRequest {
  readonly oldNodeId: number;
}

export interface PollRequest extends HandleRequest {
  /** Names the waiting file in `Notifier.poll`. */
  readonly kh: number;
  /** FUSE_POLL_SCHEDULE_NOTIFY: somebody waits and wants that notification. */
  readonly flags: number;
  /** Which `POLL*` events are asked for. */
  readonly events: number;
}

export interface XattrRequest extends NameRequest {
  /** Room for the value; 0 asks for its size (`reply.xattrSize`). */
  readonly size: number;
}

export interface RetrievedRequest extends RequestHeader {
  readonly offset: number;
  readonly size: number;
  data(): Buffer;
}

export interface Operations {
  /** Finds a name: `reply.entry`, `reply.noEntry` or -ENOENT. Counts as a reference until `forget`. */
  lookup?(request: NameRequest, reply: Reply): number;
  /** The kernel has dropped `request.nlookup` references to a node. Not answered. */
  forget?(request: ForgetRequest): void;
  /** What `Notifier.retrieve` asked for: `data()` of the node's pages from `offset` on. Not answered. */
  retrieved?(request: RetrievedRequest): void;
  /** `reply.attributes`. Without it every stat fails: the one operation nothing works without. */
  getattr?(request: GetattrRequest, reply: Reply): number;
  /** chmod, chown, truncate, utimes: `reply.attributes` as they are afterwards. */
  setattr?(request: SetattrRequest, reply: Reply): number;
  /** `reply.text(target)`. */
  readlink?(request: RequestHeader, reply: Reply): number;
  symlink?(request: SymlinkRequest, reply: Reply): number;
  mknod?(request: MknodRequest, reply: Reply): number;
  mkdir?(request: MkdirRequest, reply: Reply): number;
  unlink?(request: NameRequest, reply: Reply): number;
  rmdir?(request: NameRequest, reply: Reply): number;
  /** RENAME and RENAME2. */
  rename?(request: RenameRequest, reply: Reply): number;
  link?(request: LinkRequest, reply: Reply): number;
  /** `reply.opened(fh, flags)`. Missing: every open succeeds with fh 0 and is never sent. */
  open?(request: OpenRequest, reply: Reply): number;
  /**
   * Writes to `reply.data` from its start and returns how many bytes, at most `request.size`. Fewer
   * than asked for means end of file (with the page cache, up to the size known from getattr, zeros).
   */
  read?(request: ReadRequest, reply: Reply): number;
  /** `reply.written(bytes)`. */
  write?(request: WriteRequest, reply: Reply): number;
  statfs?(request: RequestHeader, reply: Reply): number;
  /** The last descriptor of an open file has gone. */
  release?(request: HandleRequest & { readonly flags: number }, reply: Reply): number;
  fsync?(request: HandleRequest & { readonly datasync: boolean }, reply: Reply): number;
  setxattr?(
    request: XattrRequest & { readonly flags: number; data(): Buffer },
    reply: Reply,
  ): number;
  getxattr?(request: XattrRequest, reply: Reply): number;
  listxattr?(request: RequestHeader & { readonly size: number }, reply: Reply): number;
  removexattr?(request: NameRequest, reply: Reply): number;
  /** A descriptor is being closed; there may be others. Missing: never sent. */
  flush?(request: HandleRequest, reply: Reply): number;
  opendir?(request: OpenRequest, reply: Reply): number;
  /** Entries from `request.offset` on by `reply.dirent`; returns `reply.length`. */
  readdir?(request: ReadRequest, reply: Reply): number;
  /** As `readdir` by `reply.direntPlus`; only sent if DO_READDIRPLUS was negotiated. */
  readdirplus?(request: ReadRequest, reply: Reply): number;
  releasedir?(request: HandleRequest & { readonly flags: number }, reply: Reply): number;
  fsyncdir?(request: HandleRequest & { readonly datasync: boolean }, reply: Reply): number;
  /** access(2) and chdir(2); never sent with the mount option `default_permissions`. */
  access?(request: RequestHeader & { readonly mask: number }, reply: Reply): number;
  create?(request: CreateRequest, reply: Reply): number;
  /** `reply.polled(events)`; see `Notifier.poll`. Missing: always readable and writable. */
  poll?(request: PollRequest, reply: Reply): number;
  lseek?(
    request: HandleRequest & { readonly offset: number; readonly whence: number },
    reply: Reply,
  ): number;
  /** The waiting process of that request got a signal. Missing: interrupts are switched off. */
  interrupt?(uniqueLow: number, uniqueHigh: number): void;
}
