/**
 * The only file that calls native code. Each function is one system call (through libc), returns
 * what the call returns and throws `SystemError` where it fails. Everything else in the project
 * uses Node's own API.
 */
import koffi from "koffi";
import { errno, SystemError } from "./errno.ts";
import { giveBack, isExhaustion } from "./exhaustion.ts";

const libc = koffi.load("libc.so.6");

const fn = {
  mount: libc.func("int mount(const char*, const char*, const char*, ulong, const char*)"),
  umount2: libc.func("int umount2(const char*, int)"),
  pivot_root: libc.func("int pivot_root(const char*, const char*)"),
  setns: libc.func("int setns(int, int)"),
  unshare: libc.func("int unshare(int)"),
  syscall: libc.func("long syscall(long, ...)"),
  ioctl: libc.func("int ioctl(int, ulong, ...)"),
  // Not declared variadic, which costs three times as much: it is called thousands of times in a row.
  ioctlNumber: libc.func("ioctl", "int", ["int", "ulong", "long"]),
  fcntl: libc.func("int fcntl(int, int, ...)"),
  mmap: libc.func("void *mmap(void*, size_t, int, int, int, int64_t)"),
  munmap: libc.func("int munmap(void*, size_t)"),
  ftruncate: libc.func("int ftruncate(int, int64_t)"),
  memfd_create: libc.func("int memfd_create(const char*, uint)"),
  personality: libc.func("int personality(ulong)"),
  socket: libc.func("int socket(int, int, int)"),
  send: libc.func("long send(int, void*, size_t, int)"),
  recv: libc.func("long recv(int, void*, size_t, int)"),
  prctl: libc.func("int prctl(int, ulong, ulong, ulong, ulong)"),
  poll: libc.func("int poll(void*, ulong, int)"),
  open_by_handle_at: libc.func("int open_by_handle_at(int, void*, int)"),
  getxattr: libc.func("long getxattr(const char*, const char*, void*, size_t)"),
  setxattr: libc.func("int setxattr(const char*, const char*, void*, size_t, int)"),
  removexattr: libc.func("int removexattr(const char*, const char*)"),
  close: libc.func("int close(int)"),
  read: libc.func("int read(int, void*, int)"),
  write: libc.func("int write(int, const void*, int)"),
  pread: libc.func("int pread64(int, void*, int, int64_t)"),
  open: libc.func("int open64(const char*, int)"),
  statx: libc.func("int statx(int, const char*, int, uint, void*)"),
  clock_gettime: libc.func("int clock_gettime(int, void*)"),
  clock_getres: libc.func("int clock_getres(int, void*)"),
  eventfd: libc.func("int eventfd(uint, int)"),
  inotify_init1: libc.func("int inotify_init1(int)"),
  inotify_add_watch: libc.func("int inotify_add_watch(int, const char*, uint)"),
  inotify_rm_watch: libc.func("int inotify_rm_watch(int, int)"),
  utimensat: libc.func("int utimensat(int, const char*, void*, int)"),
  execve: libc.func("int execve(const char*, const char**, const char**)"),
  fchdir: libc.func("int fchdir(int)"),
  chroot: libc.func("int chroot(const char*)"),
  _exit: libc.func("void _exit(int)"),
  lseek: libc.func("int64_t lseek(int, int64_t, int)"),
  mkdirat: libc.func("int mkdirat(int, void*, uint)"),
  unlinkat: libc.func("int unlinkat(int, void*, int)"),
  fchmodat: libc.func("int fchmodat(int, void*, uint, int)"),
  fchownat: libc.func("int fchownat(int, void*, uint, uint, int)"),
};

/** Numbers of the system calls that libc has no wrapper for; the same on x86-64 and arm64. */
const SYS = {
  open_tree: 428,
  move_mount: 429,
  pidfd_open: 434,
  openat2: 437,
  pidfd_getfd: 438,
  mount_setattr: 442,
};

/** Numbers that differ between machines. glibc's wrappers of the first six act on all threads. */
const SYS_OF_MACHINE =
  process.arch === "arm64"
    ? {
        setresuid: 147,
        setresgid: 149,
        setfsuid: 151,
        setfsgid: 152,
        setgroups: 159,
        capset: 91,
        capget: 90,
        getdents64: 61,
        seccomp: 277,
      }
    : {
        setresuid: 117,
        setresgid: 119,
        setfsuid: 122,
        setfsgid: 123,
        setgroups: 116,
        capset: 126,
        capget: 125,
        getdents64: 217,
        seccomp: 317,
      };

function check(result: number, doing: string): number {
  if (result < 0) throw new SystemError(doing, koffi.errno());
  return result;
}

/** As `check`, for calls that make a descriptor: where none is left, others are given back first. */
function checkOpened(open: () => number, doing: string): number {
  for (;;) {
    const fd = open();
    if (fd >= 0) return fd;
    const code = koffi.errno();
    if (!isExhaustion(code) || !giveBack()) throw new SystemError(doing, code);
  }
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
  return openHow(dirFd, Buffer.from(`${path}\0`), flags, resolve, `open ${path}`);
}

/** `RESOLVE` flags for one name in a directory: nothing but that directory's own entry can be meant. */
const ONE_NAME = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV;
const OPEN_HOW = Buffer.alloc(24);

function openHow(
  dirFd: number,
  nameAndNul: Buffer,
  flags: number,
  resolve: number,
  doing: string,
): number {
  OPEN_HOW.writeUInt32LE((flags | 0o2000000) >>> 0, 0);
  OPEN_HOW.writeUInt32LE(resolve, 16);
  return checkOpened(
    () =>
      Number(
        fn.syscall(
          SYS.openat2,
          "int",
          dirFd,
          "void*",
          nameAndNul,
          "void*",
          OPEN_HOW,
          "size_t",
          OPEN_HOW.length,
        ),
      ),
    doing,
  );
}

/**
 * Opens one entry of the directory behind `dirFd`, whatever bytes its name is made of; it follows no
 * link and crosses no mount. `.` is the directory itself.
 */
export function openEntry(dirFd: number, name: Buffer, flags: number): number {
  return openHow(dirFd, terminated(name), flags, ONE_NAME, "open directory entry");
}

const PARENT = Buffer.from("..\0");

/** Opens the directory above, O_PATH. @throws SystemError EXDEV where that is on another mount */
export function openParent(dirFd: number): number {
  const O_PATH_DIRECTORY = 0o10000000 | (process.arch === "arm64" ? 0o40000 : 0o200000);
  return openHow(dirFd, PARENT, O_PATH_DIRECTORY, RESOLVE.NO_XDEV, "open parent directory");
}

/** mkdirat(2); the server's own umask applies. */
export function makeDirectoryAt(dirFd: number, name: Buffer, mode: number): void {
  check(fn.mkdirat(dirFd, terminated(name), mode), "make directory");
}

export function removeDirectoryAt(dirFd: number, name: Buffer): void {
  const AT_REMOVEDIR = 0x200;
  check(fn.unlinkat(dirFd, terminated(name), AT_REMOVEDIR), "remove directory");
}

/** fchmodat(2) of an entry; it must be known not to be a link. */
export function changeModeAt(dirFd: number, name: Buffer, mode: number): void {
  check(fn.fchmodat(dirFd, terminated(name), mode, 0), "change mode");
}

/** fchownat(2), of a link itself. An id of 2^32 - 1 stays as it is. */
export function changeOwnerAt(dirFd: number, name: Buffer, uid: number, gid: number): void {
  const AT_SYMLINK_NOFOLLOW = 0x100;
  check(fn.fchownat(dirFd, terminated(name), uid, gid, AT_SYMLINK_NOFOLLOW), "change owner");
}

function terminated(name: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(name.length + 1);
  name.copy(bytes);
  bytes[name.length] = 0;
  return bytes;
}

/** lseek(2) to `offset` from the start; of a directory, an offset that getdents64(2) gave. */
export function seekTo(fd: number, offset: number): void {
  check(Number(fn.lseek(fd, offset, 0)), `seek in fd ${fd}`);
}

/** getdents64(2). @returns how many bytes of `struct linux_dirent64` were written, 0 at the end */
export function readDirectory(fd: number, target: Buffer): number {
  const call = SYS_OF_MACHINE.getdents64;
  return check(
    Number(fn.syscall(call, "int", fd, "void*", target, "size_t", target.length)),
    `read directory fd ${fd}`,
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
  return checkOpened(
    () => Number(fn.syscall(SYS.pidfd_open, "int", pid, "uint", 0)),
    `open process ${pid}`,
  );
}

/** Copies descriptor `fd` of the process behind `pidfd` into this process. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return check(
    Number(fn.syscall(SYS.pidfd_getfd, "int", pidfd, "int", fd, "uint", 0)),
    `take descriptor ${fd} from another process`,
  );
}

/** Whether the process behind `pidfd` is still there (zombies are not). Asks without a signal, which would take CAP_KILL. */
export function pidfdAlive(pidfd: number): boolean {
  return pollFd(pidfd, POLL.IN, 0) === 0;
}

/** ioctl(2) whose argument is a buffer, read or written by the kernel. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  return check(fn.ioctl(fd, request, "void*", argument), `ioctl 0x${request.toString(16)}`);
}

/**
 * read(2) into the start of `buffer`. Node's own readSync costs a microsecond more, which a serving
 * thread pays for each request.
 * @returns bytes read, or a negative errno
 */
export function readInto(fd: number, buffer: Uint8Array, lengthBytes: number): number {
  const count = fn.read(fd, buffer, lengthBytes) as number;
  return count < 0 ? -koffi.errno() : count;
}

/**
 * open(2) for reading; closed on exec. Node's own makes an error object, with a stack, of each file
 * that is not there, which costs more than all the rest.
 * @returns a descriptor for `closeFd`, or a negative errno
 */
export function openForReading(path: string): number {
  for (;;) {
    const fd = fn.open(path, O_RDONLY_CLOEXEC) as number;
    if (fd >= 0) return fd;
    const code = koffi.errno();
    if (!isExhaustion(code) || !giveBack()) return -code;
  }
}

const O_RDONLY_CLOEXEC = 0o2000000;
const STATX_INO = 0x100;
/** `struct statx`: its inode number is at byte 32. */
const statxBuffer = Buffer.alloc(256);

/** Inode number of what is at `path`, links followed. @returns a negative errno where there is none */
export function inodeOf(path: string): number {
  if (fn.statx(AT_FDCWD, path, 0, STATX_INO, statxBuffer) !== 0) return -koffi.errno();
  return statxBuffer.readUInt32LE(32) + statxBuffer.readUInt32LE(36) * 2 ** 32;
}

/** pread(2) into `buffer` from `at` on. @returns bytes read, or a negative errno */
export function preadInto(fd: number, buffer: Uint8Array, at: number, offset: number): number {
  const target = at === 0 ? buffer : buffer.subarray(at);
  const count = fn.pread(fd, target, buffer.length - at, offset) as number;
  return count < 0 ? -koffi.errno() : count;
}

/** write(2) of the first `lengthBytes` of `buffer`. @returns bytes written, or a negative errno */
export function writeFrom(fd: number, buffer: Uint8Array, lengthBytes: number): number {
  const count = fn.write(fd, buffer, lengthBytes) as number;
  return count < 0 ? -koffi.errno() : count;
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
  return checkOpened(
    () => fn.open_by_handle_at(mountFd, handle, O_RDONLY_CLOEXEC) as number,
    `open inode ${id}`,
  );
}

/**
 * open_by_handle_at(2) of a node of the FUSE filesystem that is the current directory
 * (FILEID_INO64_GEN), O_PATH: no request is made of the filesystem.
 * @throws SystemError ESTALE unless the kernel has the node in its cache
 */
export function openFuseNode(nodeHigh: number, nodeLow: number): number {
  const FILEID_INO64_GEN = 0x81;
  const O_PATH_CLOEXEC = 0o10000000 | 0o2000000;
  const handle = Buffer.alloc(20);
  handle.writeUInt32LE(12, 0);
  handle.writeInt32LE(FILEID_INO64_GEN, 4);
  handle.writeUInt32LE(nodeHigh, 8);
  handle.writeUInt32LE(nodeLow, 12);
  return checkOpened(
    () => fn.open_by_handle_at(AT_FDCWD, handle, O_PATH_CLOEXEC) as number,
    "open a node",
  );
}

const UNCHANGED = -1;

/** setresuid(2) of the effective user id (and with it the filesystem's), of the calling thread only. */
export function setEffectiveUid(uid: number): void {
  const call = SYS_OF_MACHINE.setresuid;
  check(
    Number(fn.syscall(call, "int", UNCHANGED, "int", uid | 0, "int", UNCHANGED)),
    `take effective uid ${uid}`,
  );
}

/** setresgid(2) of the effective group id, of the calling thread only. */
export function setEffectiveGid(gid: number): void {
  const call = SYS_OF_MACHINE.setresgid;
  check(
    Number(fn.syscall(call, "int", UNCHANGED, "int", gid | 0, "int", UNCHANGED)),
    `take effective gid ${gid}`,
  );
}

/** setfsuid(2) of the calling thread. It reports no failure, so it is asked again what holds. */
export function setFilesystemUid(uid: number): void {
  setFilesystemId(SYS_OF_MACHINE.setfsuid, uid, "uid");
}

/** setfsgid(2) of the calling thread. */
export function setFilesystemGid(gid: number): void {
  setFilesystemId(SYS_OF_MACHINE.setfsgid, gid, "gid");
}

function setFilesystemId(call: number, id: number, kind: string): void {
  fn.syscall(call, "int", id | 0);
  const holds = Number(fn.syscall(call, "int", UNCHANGED)) >>> 0;
  if (holds !== id >>> 0) throw new SystemError(`take filesystem ${kind} ${id}`, errno.EPERM);
}

/** setgroups(2) of the calling thread only. */
export function setThreadGroups(groups: readonly number[]): void {
  const list = Buffer.alloc(Math.max(4, groups.length * 4));
  for (const [index, group] of groups.entries()) list.writeUInt32LE(group >>> 0, index * 4);
  const call = SYS_OF_MACHINE.setgroups;
  check(Number(fn.syscall(call, "size_t", groups.length, "void*", list)), "take groups");
}

/** Sets of capabilities of a thread, bit n for the capability of number n. */
export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

const CAPABILITY_HEADER = Buffer.alloc(8);
CAPABILITY_HEADER.writeUInt32LE(0x20080522, 0);
const CAPABILITY_DATA = Buffer.alloc(24);
const CAPABILITY_FIELDS = ["effective", "permitted", "inheritable"] as const;

/** capget(2) of the calling thread. */
export function threadCapabilities(): CapabilitySets {
  const call = SYS_OF_MACHINE.capget;
  check(
    Number(fn.syscall(call, "void*", CAPABILITY_HEADER, "void*", CAPABILITY_DATA)),
    "get capabilities",
  );
  const [effective = 0n, permitted = 0n, inheritable = 0n] = CAPABILITY_FIELDS.map(
    (_, field) =>
      BigInt(CAPABILITY_DATA.readUInt32LE(field * 4)) |
      (BigInt(CAPABILITY_DATA.readUInt32LE(field * 4 + 12)) << 32n),
  );
  return { effective, permitted, inheritable };
}

/** capset(2) of the calling thread. */
export function setThreadCapabilities(sets: CapabilitySets): void {
  for (const [field, name] of CAPABILITY_FIELDS.entries()) {
    CAPABILITY_DATA.writeUInt32LE(Number(sets[name] & 0xffffffffn), field * 4);
    CAPABILITY_DATA.writeUInt32LE(Number(sets[name] >> 32n), field * 4 + 12);
  }
  const call = SYS_OF_MACHINE.capset;
  check(
    Number(fn.syscall(call, "void*", CAPABILITY_HEADER, "void*", CAPABILITY_DATA)),
    "set capabilities",
  );
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
  return fn.ioctlNumber(fd, request, argument);
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

const timespec = Buffer.alloc(16);

/** CLOCK_BOOTTIME in nanoseconds: CLOCK_MONOTONIC and the time the machine was suspended. */
export function boottimeNs(): number {
  const CLOCK_BOOTTIME = 7;
  fn.clock_gettime(CLOCK_BOOTTIME, timespec);
  const seconds = timespec.readUInt32LE(0) + timespec.readUInt32LE(4) * 2 ** 32;
  return seconds * 1e9 + timespec.readUInt32LE(8);
}

/** The kernel's tick (1000 / CONFIG_HZ): what its coarse clocks and its time-outs are counted in. */
export function kernelTickMs(): number {
  const CLOCK_MONOTONIC_COARSE = 6;
  fn.clock_getres(CLOCK_MONOTONIC_COARSE, timespec);
  return timespec.readUInt32LE(8) / 1e6;
}

/** A descriptor that becomes readable when 8 bytes (a count) are written to it; reading resets it. */
export function eventfdCreate(): number {
  const EFD_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
  return check(fn.eventfd(0, EFD_CLOEXEC_NONBLOCK), "create an event descriptor");
}

/** An inotify instance (inotify(7)) whose reads do not wait. */
export function inotifyCreate(): number {
  const IN_CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
  return checkOpened(() => fn.inotify_init1(IN_CLOEXEC_NONBLOCK) as number, "watch files");
}

/** Watches what `fd` is open on for changes of its content. @returns the watch's number */
export function inotifyAdd(inotifyFd: number, fd: number): number {
  const IN_MODIFY = 2;
  const path = `/proc/self/fd/${fd}`;
  return check(fn.inotify_add_watch(inotifyFd, path, IN_MODIFY), `watch descriptor ${fd}`);
}

/** One that is gone already is no error. */
export function inotifyRemove(inotifyFd: number, watch: number): void {
  fn.inotify_rm_watch(inotifyFd, watch);
}

/** Says that what `fd` is open on (O_PATH is enough) was modified now; its access time stays. */
export function setModifiedNow(fd: number): void {
  const AT_EMPTY_PATH = 0x1000;
  const [UTIME_NOW, UTIME_OMIT] = [0x3fffffffn, 0x3ffffffen];
  // Two struct timespec: of access, of modification.
  const times = new BigInt64Array([0n, UTIME_OMIT, 0n, UTIME_NOW]);
  check(fn.utimensat(fd, "", Buffer.from(times.buffer), AT_EMPTY_PATH), "set a time");
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

/** personality(2) of the calling thread. @returns the one before */
export function setPersonality(persona: number): number {
  return check(fn.personality(persona), `take personality ${persona}`);
}

/** A netlink socket(2) of that protocol. */
export function netlinkSocket(protocol: number): number {
  const AF_NETLINK = 16;
  const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
  return checkOpened(
    () => fn.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, protocol) as number,
    "open a netlink socket",
  );
}

/** Asks the kernel, which has answered when this returns. @returns length of the answer */
export function netlinkAsk(fd: number, message: Buffer, answer: Buffer): number {
  const MSG_DONTWAIT = 0x40;
  check(Number(fn.send(fd, message, message.length, 0)), "send to netlink");
  const length = Number(fn.recv(fd, answer, answer.length, MSG_DONTWAIT));
  return check(length, "receive from netlink");
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

const sockFprog = koffi.struct("sock_fprog", { length: "uint16", filter: "void*" });

/**
 * seccomp(2): filters the system calls of the calling thread and of what it starts, for good.
 * @param program an array of struct sock_filter
 * @param listen whether refused calls are to be told
 * @returns the descriptor that tells of them, or 0
 */
export function seccompFilter(program: Buffer, listen: boolean): number {
  const SECCOMP_SET_MODE_FILTER = 1;
  /** Without it kernels before 5.16 turn speculation off, which costs more than all the rest. */
  const SPEC_ALLOW = 4;
  const NEW_LISTENER = 8;
  const flags = SPEC_ALLOW | (listen ? NEW_LISTENER : 0);
  const filter = { length: program.length / 8, filter: program };
  const call = SYS_OF_MACHINE.seccomp;
  return checkOpened(
    () =>
      Number(
        fn.syscall(
          ...[call, "uint", SECCOMP_SET_MODE_FILTER, "uint", flags],
          ...[koffi.pointer(sockFprog), filter],
        ),
      ),
    "filter system calls",
  );
}

/** Takes the next note of a refused call into `note`, which must be zero. */
export function seccompReceive(listenerFd: number, note: Buffer): void {
  const SECCOMP_IOCTL_NOTIF_RECV = 0xc0502100;
  ioctl(listenerFd, SECCOMP_IOCTL_NOTIF_RECV, note);
}

/** Lets a refused call return. */
export function seccompAnswer(listenerFd: number, answer: Buffer): void {
  const SECCOMP_IOCTL_NOTIF_SEND = 0xc0182101;
  ioctl(listenerFd, SECCOMP_IOCTL_NOTIF_SEND, answer);
}
