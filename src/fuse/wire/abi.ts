/**
 * Constants of the FUSE kernel interface, named and numbered as in `include/uapi/linux/fuse.h`
 * (protocol 7.45, Linux 6.18). Only what this implementation decodes, encodes or answers is listed.
 */

/** The protocol spoken here. A newer kernel is answered with this, and then speaks it too. */
export const FUSE_KERNEL_VERSION = 7;
export const FUSE_KERNEL_MINOR_VERSION = 45;

/** The oldest minor accepted (Linux 5.4): from here on every structure has its present size. */
export const FUSE_OLDEST_MINOR_VERSION = 31;

/** The node id of a mount's root directory. */
export const FUSE_ROOT_ID = 1;

/** The kernel refuses to copy a request into a buffer smaller than this. */
export const FUSE_MIN_READ_BUFFER = 8192;

/** `enum fuse_opcode`. */
export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SETUPMAPPING: 48,
  REMOVEMAPPING: 49,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

const OPCODE_NAMES = new Map<number, string>(
  Object.entries(Opcode).map(([name, opcode]) => [opcode, name]),
);

/** `15 -> "READ"`; an opcode not known here is `opcode 4096`. */
export function opcodeName(opcode: number): string {
  return OPCODE_NAMES.get(opcode) ?? `opcode ${opcode}`;
}

/**
 * Flags of INIT. Bits 32 and up travel in `flags2` (with INIT_EXT); here both words are one number,
 * which holds them exactly. Use `hasFlag`: `&` would cut them to 32 bits.
 */
export const InitFlag = {
  ASYNC_READ: 1,
  POSIX_LOCKS: 2 ** 1,
  FILE_OPS: 2 ** 2,
  ATOMIC_O_TRUNC: 2 ** 3,
  EXPORT_SUPPORT: 2 ** 4,
  BIG_WRITES: 2 ** 5,
  DONT_MASK: 2 ** 6,
  SPLICE_WRITE: 2 ** 7,
  SPLICE_MOVE: 2 ** 8,
  SPLICE_READ: 2 ** 9,
  FLOCK_LOCKS: 2 ** 10,
  HAS_IOCTL_DIR: 2 ** 11,
  AUTO_INVAL_DATA: 2 ** 12,
  DO_READDIRPLUS: 2 ** 13,
  READDIRPLUS_AUTO: 2 ** 14,
  ASYNC_DIO: 2 ** 15,
  WRITEBACK_CACHE: 2 ** 16,
  NO_OPEN_SUPPORT: 2 ** 17,
  PARALLEL_DIROPS: 2 ** 18,
  HANDLE_KILLPRIV: 2 ** 19,
  POSIX_ACL: 2 ** 20,
  ABORT_ERROR: 2 ** 21,
  MAX_PAGES: 2 ** 22,
  CACHE_SYMLINKS: 2 ** 23,
  NO_OPENDIR_SUPPORT: 2 ** 24,
  EXPLICIT_INVAL_DATA: 2 ** 25,
  MAP_ALIGNMENT: 2 ** 26,
  SUBMOUNTS: 2 ** 27,
  HANDLE_KILLPRIV_V2: 2 ** 28,
  SETXATTR_EXT: 2 ** 29,
  INIT_EXT: 2 ** 30,
  SECURITY_CTX: 2 ** 32,
  HAS_INODE_DAX: 2 ** 33,
  CREATE_SUPP_GROUP: 2 ** 34,
  HAS_EXPIRE_ONLY: 2 ** 35,
  DIRECT_IO_ALLOW_MMAP: 2 ** 36,
  PASSTHROUGH: 2 ** 37,
  NO_EXPORT_SUPPORT: 2 ** 38,
  HAS_RESEND: 2 ** 39,
  ALLOW_IDMAP: 2 ** 40,
  OVER_IO_URING: 2 ** 41,
  REQUEST_TIMEOUT: 2 ** 42,
} as const;

export type InitFlagName = keyof typeof InitFlag;

/** Whether `flags` (see `InitFlag`) contains all bits of `flag`. */
export function hasFlag(flags: number, flag: number): boolean {
  const high = Math.floor(flag / 2 ** 32);
  const low = flag >>> 0;
  return (flags & low) >>> 0 === low && (Math.floor(flags / 2 ** 32) & high) === high;
}

/** `FUSE_READ_*`: flags of READ. */
export const READ_FLAG = {
  /**
   * The owner of the lock is told: so it is with every read past the page cache, and with none that
   * fills the page cache.
   */
  LOCKOWNER: 1 << 1,
} as const;

/** `FOPEN_*`: flags in the answer to OPEN, CREATE and OPENDIR. */
export const FOPEN = {
  /** Every read and write comes to the filesystem; the page cache is bypassed, size is not trusted. */
  DIRECT_IO: 1 << 0,
  /** Keep what the page cache holds of this file from earlier opens. */
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
  /** No file position at all. */
  STREAM: 1 << 4,
  /** No FLUSH on close (7.35). */
  NOFLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
  PASSTHROUGH: 1 << 7,
} as const;

/** `FATTR_*`: which fields of a SETATTR are meant. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

/** GETATTR carries a file handle. */
export const FUSE_GETATTR_FH = 1;
/** POLL: the kernel asks to be notified when the events change. */
export const FUSE_POLL_SCHEDULE_NOTIFY = 1;
/** INVAL_ENTRY: let the entry expire rather than removing it from the dentry cache (7.38). */
export const FUSE_EXPIRE_ONLY = 1;
/** Bit 0 of a unique id: an INTERRUPT, whose unique is that of the interrupted request plus this. */
export const FUSE_INT_REQ_BIT = 1;
/** Bit 31 of the high word (63 of the id): the kernel has sent this request before (7.40). */
export const FUSE_UNIQUE_RESEND_HIGH = 0x80000000;

/** `enum fuse_notify_code`. */
export const NotifyCode = {
  POLL: 1,
  INVAL_INODE: 2,
  INVAL_ENTRY: 3,
  STORE: 4,
  RETRIEVE: 5,
  DELETE: 6,
  RESEND: 7,
  INC_EPOCH: 8,
  PRUNE: 9,
} as const;

/** Types of directory entries (`DT_*` of dirent.h): the file type bits of a mode, shifted by 12. */
export const DT = {
  UNKNOWN: 0,
  FIFO: 1,
  CHR: 2,
  DIR: 4,
  BLK: 6,
  REG: 8,
  LNK: 10,
  SOCK: 12,
} as const;

/** Sizes of structures in bytes. */
export const Size = {
  IN_HEADER: 40,
  OUT_HEADER: 16,
  ATTR: 88,
  ENTRY_OUT: 128,
  ATTR_OUT: 104,
  OPEN_OUT: 16,
  READ_IN: 40,
  WRITE_IN: 40,
  WRITE_OUT: 8,
  STATFS_OUT: 80,
  POLL_OUT: 8,
  LSEEK_OUT: 8,
  GETXATTR_OUT: 8,
  INIT_IN: 64,
  INIT_IN_SHORT: 16,
  INIT_OUT: 64,
  DIRENT: 24,
} as const;

/** Device ioctl that makes a second descriptor of one connection: `_IOR(229, 0, uint32_t)`. */
export const FUSE_DEV_IOC_CLONE = 0x8004e500;
