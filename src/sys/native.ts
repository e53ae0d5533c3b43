/**
 * The only file that calls native code. Each function is one system call (through libc), returns
 * what the call returns and throws `SystemError` where it fails. Everything else in the project
 * uses Node's own API.
 */
import koffi from "koffi";
import { errno, SystemError } from "./errno.ts";

const libc = koffi.load("libc.so.6");

const fn = {
  mount: libc.func("int mount(const char*, const char*, const char*, ulong, const char*)"),
  umount2: libc.func("int umount2(const char*, int)"),
  pivot_root: libc.func("int pivot_root(const char*, const char*)"),
  setns: libc.func("int setns(int, int)"),
  unshare: libc.func("int unshare(int)"),
  syscall: libc.func("long syscall(long, ...)"),
  ioctl: libc.func("int ioctl(int, ulong, ...)"),
  fcntl: libc.func("int fcntl(int, int, ...)"),
  mmap: libc.func("void *mmap(void*, size_t, int, int, int, int64_t)"),
  munmap: libc.func("int munmap(void*, size_t)"),
  ftruncate: libc.func("int ftruncate(int, int64_t)"),
  memfd_create: libc.func("int memfd_create(const char*, uint)"),
  prctl: libc.func("int prctl(int, ulong, ulong, ulong, ulong)"),
  poll: libc.func("int poll(void*, ulong, int)"),
  open_by_handle_at: libc.func("int open_by_handle_at(int, void*, int)"),
  getxattr: libc.func("long getxattr(const char*, const char*, void*, size_t)"),
  setxattr: libc.func("int setxattr(const char*, const char*, void*, size_t, int)"),
  removexattr: libc.func("int removexattr(const char*, const char*)"),
  close: libc.func("int close(int)"),
  eventfd: libc.func("int eventfd(uint, int)"),
  execve: libc.func("int execve(const char*, const char**, const char**)"),
  fchdir: libc.func("int fchdir(int)"),
  chroot: libc.func("int chroot(const char*)"),
  _exit: libc.func("void _exit(int)"),
};

/** Numbers of the system calls that libc has no wrapper for; the same on x86-64 and arm64. */
const SYS = {
  pidfd_send_signal: 424,
  open_tree: 428,
  move_mount: 429,
  pidfd_open: 434,
  openat2: 437,
  pidfd_getfd: 438,
  mount_setattr: 442,
};

function check(result: number, doing: string): number {
  if (result < 0) throw new SystemError(doing, koffi.errno());
  return result;
}

/** Flags of mount(2). */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  MOVE: 8192,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
} as const;

export function mount(
  source: string,
  target: string,
  type: string | null,
  flags: number,
  data: string | null,
): void {
  check(fn.mount(source, target, type, flags, data), `mount ${type ?? source} on ${target}`);
}

/** Flags of umount2(2). */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, UMOUNT_NOFOLLOW: 8 } as const;

export function umount(target: string, flags = 0): void {
  check(fn.umount2(target, flags), `unmount ${target}`);
}

/** pivot_root(2): `newRoot` becomes the root of this mount namespace, the old one lies at `putOld`. */
export function pivotRoot(newRoot: string, putOld: string): void {
  check(fn.pivot_root(newRoot, putOld), `make ${newRoot} the root`);
}

/** Flags of unshare(2), setns(2) and clone(2). */
export const CLONE = {
  NEWTIME: 0x80,
  FS: 0x200,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** Acts on the calling thread only. */
export function setns(fd: number, type: number): void {
  check(fn.setns(fd, type), `enter namespace of fd ${fd}`);
}

/** Acts on the calling thread only. */
export function unshare(flags: number): void {
  check(fn.unshare(flags), "unshare");
}

export const AT_FDCWD = -100;
export const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;
export const OPEN_TREE_CLONE = 1;
export const OPEN_TREE_CLOEXEC = 0o2000000;
export const MOVE_MOUNT_F_EMPTY_PATH = 4;
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
export const MOVE_MOUNT_BENEATH = 0x200;

/** open_tree(2): a descriptor of the mount at `path`; with OPEN_TREE_CLONE of a detached copy of it. */
export function openTree(dirFd: number, path: string, flags: number): number {
  return check(
    Number(fn.syscall(SYS.open_tree, "int", dirFd, "const char*", path, "uint", flags)),
    `open mount tree ${path}`,
  );
}

/** move_mount(2). */
export function moveMount(
  fromFd: number,
  from: string,
  toFd: number,
  to: string,
  flags: number,
): void {
  check(
    Number(
      fn.syscall(
        SYS.move_mount,
        "int",
        fromFd,
        "const char*",
        from,
        "int",
        toFd,
        "const char*",
        to,
        "uint",
        flags,
      ),
    ),
    `move mount to ${to}`,
  );
}

/** mount_setattr(2): sets and clears MOUNT_ATTR_* bits of the mount behind `fd`. */
export function mountSetattr(
  fd: number,
  path: string,
  flags: number,
  set: number,
  clear: number,
): void {
  const attr = Buffer.alloc(32);
  attr.writeBigUInt64LE(BigInt(set), 0);
  attr.writeBigUInt64LE(BigInt(clear), 8);
  check(
    Number(
      fn.syscall(
        SYS.mount_setattr,
        "int",
        fd,
        "const char*",
        path,
        "uint",
        flags,
        "void*",
        attr,
        "size_t",
        32,
      ),
    ),
    `set mount attributes of ${path || `fd ${fd}`}`,
  );
}

/** Attributes of mount_setattr(2). */
export const MOUNT_ATTR = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;

/** Resolve flags of openat2(2). */
export const RESOLVE = {
  NO_XDEV: 1,
  NO_MAGICLINKS: 2,
  NO_SYMLINKS: 4,
  BENEATH: 8,
  IN_ROOT: 16,
} as const;

/** openat2(2): opens `path` from `dirFd` under the rules of `resolve`; the descriptor closes on exec. */
export function openat2(dirFd: number, path: string, flags: number, resolve: number): number {
  const O_CLOEXEC = 0o2000000;
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(resolve), 16);
  return check(
    Number(
      fn.syscall(
        SYS.openat2,
        "int",
        dirFd,
        "const char*",
        path,
        "void*",
        how,
        "size_t",
        how.length,
      ),
    ),
    `open ${path}`,
  );
}

/** Moves the calling thread (and all that share its CLONE_FS state) into the directory behind `fd`. */
export function fchdir(fd: number): void {
  check(fn.fchdir(fd), `change to the directory of fd ${fd}`);
}

/** Makes `path` the root of the calling thread (and of all that share its CLONE_FS state). */
export function chroot(path: string): void {
  check(fn.chroot(path), `make ${path} the root`);
}

/**
 * Ends the process at once. Unlike `process.exit` it does not join worker threads, of which one may
 * be held in a system call by a filesystem that does not answer.
 */
export function exitNow(code: number): never {
  fn._exit(code);
  throw new Error("_exit returned");
}

export function pidfdOpen(pid: number): number {
  return check(Number(fn.syscall(SYS.pidfd_open, "int", pid, "uint", 0)), `open process ${pid}`);
}

/** Copies descriptor `fd` of the process behind `pidfd` into this process. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return check(
    Number(fn.syscall(SYS.pidfd_getfd, "int", pidfd, "int", fd, "uint", 0)),
    `take descriptor ${fd} from another process`,
  );
}

/** Whether the process behind `pidfd` is still there (zombies are not). */
export function pidfdAlive(pidfd: number): boolean {
  return (
    Number(fn.syscall(SYS.pidfd_send_signal, "int", pidfd, "int", 0, "void*", null, "uint", 0)) ===
    0
  );
}

/** ioctl(2) whose argument is a buffer, read or written by the kernel. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  return check(fn.ioctl(fd, request, "void*", argument), `ioctl 0x${request.toString(16)}`);
}

/** Closes a descriptor that was opened here: Node's own close warns of those it did not open. */
export function closeFd(fd: number): void {
  fn.close(fd);
}

/**
 * open_by_handle_at(2) on a filesystem of the kernfs family (cgroups): the file or directory with
 * inode number `id` of the filesystem that `mountFd` is open on (FILEID_KERNFS, Linux 5.5).
 */
export function openByHandle(mountFd: number, id: number): number {
  const FILEID_KERNFS = 0xfe;
  const O_RDONLY_CLOEXEC = 0o2000000;
  const handle = Buffer.alloc(16);
  handle.writeUInt32LE(8, 0);
  handle.writeInt32LE(FILEID_KERNFS, 4);
  handle.writeBigUInt64LE(BigInt(id), 8);
  return check(fn.open_by_handle_at(mountFd, handle, O_RDONLY_CLOEXEC), `open inode ${id}`);
}

const xattrBuffer = Buffer.alloc(256);

/** getxattr(2) of a short text; `undefined` if there is none, or it cannot be read. */
export function getXattr(path: string, name: string): string | undefined {
  const length = Number(fn.getxattr(path, name, xattrBuffer, xattrBuffer.length));
  return length < 0 ? undefined : xattrBuffer.toString("utf8", 0, length);
}

/** setxattr(2); with an empty value the attribute is removed. */
export function setXattr(path: string, name: string, value: string): void {
  if (value === "") check(fn.removexattr(path, name), `remove ${name} of ${path}`);
  else {
    const bytes = Buffer.from(value);
    check(fn.setxattr(path, name, bytes, bytes.length, 0), `set ${name} of ${path}`);
  }
}

/** ioctl(2) whose argument is a number. @returns its result, or -1 where the kernel refuses it */
export function ioctlNumber(fd: number, request: number, argument: number): number {
  return fn.ioctl(fd, request, "long", argument);
}

/** Takes or keeps a descriptor open across exec (`inherit`), or has it closed there. */
export function setInherit(fd: number, inherit: boolean): void {
  const F_SETFD = 2;
  check(fn.fcntl(fd, F_SETFD, "int", inherit ? 0 : 1), `set close-on-exec of fd ${fd}`);
}

/** O_NONBLOCK on or off. */
export function setNonblocking(fd: number, nonblocking: boolean): void {
  const F_GETFL = 3;
  const F_SETFL = 4;
  const flags = check(fn.fcntl(fd, F_GETFL, "int", 0), `get flags of fd ${fd}`);
  check(
    fn.fcntl(fd, F_SETFL, "int", nonblocking ? flags | 0o4000 : flags & ~0o4000),
    `set flags of fd ${fd}`,
  );
}

/**
 * fcntl(F_SETLK) write lock over the whole file, as LXCFS takes on its pidfile.
 * The lock belongs to the process: it survives execve and goes when any descriptor of the file closes.
 * @returns false if another process holds it
 */
export function lockWholeFile(fd: number): boolean {
  const F_SETLK = 6;
  const F_WRLCK = 1;
  const flock = Buffer.alloc(32);
  flock.writeInt16LE(F_WRLCK, 0);
  if (fn.fcntl(fd, F_SETLK, "void*", flock) === 0) return true;
  const code = koffi.errno();
  if (code === errno.EACCES || code === errno.EAGAIN) return false;
  throw new SystemError(`lock fd ${fd}`, code);
}

/** An anonymous file in memory of `bytes` bytes; its descriptor is inherited by children. */
export function memfdCreate(name: string, bytes: number): number {
  const fd = check(fn.memfd_create(name, 0), `create memory file ${name}`);
  check(fn.ftruncate(fd, bytes), `size memory file ${name}`);
  return fd;
}

/** Maps `bytes` of `fd` shared: what one thread or process writes, the others read. */
export function mapShared(fd: number, bytes: number): ArrayBuffer {
  const PROT_READ_WRITE = 3;
  const MAP_SHARED = 1;
  const address = fn.mmap(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (koffi.address(address) === 0xffffffffffffffffn)
    throw new SystemError(`map fd ${fd}`, koffi.errno());
  return koffi.view(address, bytes);
}

/** A descriptor that becomes readable when 8 bytes (a count) are written to it; reading resets it. */
export function eventfdCreate(): number {
  const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
  return check(fn.eventfd(0, EFD_CLOEXEC_NONBLOCK), "create an event descriptor");
}

/** Events of poll(2). */
export const POLL = { IN: 1, PRI: 2, OUT: 4, ERR: 8, HUP: 16, NVAL: 32 } as const;

/** poll(2) of one descriptor. @returns the events found, 0 after `timeoutMs` (-1: wait for ever) */
export function pollFd(fd: number, events: number, timeoutMs: number): number {
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(events, 4);
  const count = fn.poll(pollfd, 1, timeoutMs);
  if (count < 0) {
    if (koffi.errno() === errno.EINTR) return 0;
    throw new SystemError(`poll fd ${fd}`, koffi.errno());
  }
  return count === 0 ? 0 : pollfd.readInt16LE(6);
}

/** Bytes of `struct pollfd`: descriptor, events asked for, events found. */
export const POLLFD_BYTES = 8;

/**
 * poll(2) of `count` descriptors in a thread of its own. `pollfds` belongs to the kernel until then.
 * @returns how many have events; 0 after `timeoutMs`, or after a signal
 */
export function pollAsync(pollfds: Buffer, count: number, timeoutMs: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fn.poll.async(pollfds, count, timeoutMs, (error: Error | null, found: number) => {
      if (error) reject(error);
      else resolve(Math.max(0, found));
    });
  });
}

export function prctl(option: number, argument: number): void {
  check(fn.prctl(option, argument, 0, 0, 0), `prctl ${option}`);
}

/** Replaces this process; returns only by throwing. Descriptors without close-on-exec stay open. */
export function execve(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): never {
  const pairs = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  fn.execve(path, [...argv, null], [...pairs, null]);
  throw new SystemError(`execute ${path}`, koffi.errno());
}
