/**
 * The system calls of threads that serve. What Node.js needs to run at all, and what reading the
 * kernel's files and answering take; nothing that starts a process or a thread, mounts, enters a
 * namespace, traces, signals another process, opens a connection or changes the machine.
 *
 * Found by running every test suite under the filter, on Node.js 20 to 26. A call that a machine does
 * not have (arm64 has no open, stat or poll) has no number there.
 */
import type { Machine } from "../sys/seccomp.ts";

/** In the order of their frequency. */
const SERVING = [
  ...["read", "pread64", "write", "openat", "close", "futex", "fstat", "readlink", "readlinkat"],
  ...["poll", "ppoll", "open", "stat", "lstat", "newfstatat", "statx", "lseek", "ioctl"],
  // Other threads of this process: messages to the main thread, and its own event loop.
  ...["epoll_wait", "epoll_pwait", "epoll_ctl", "eventfd2", "sched_yield", "readv", "writev"],
  // Memory.
  ...["mmap", "munmap", "mprotect", "pkey_mprotect", "madvise", "mremap", "brk", "membarrier"],
  // Time, and who am I.
  ...[
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "getpid",
    "gettid",
    "getrandom",
    "getrusage",
    "uname",
  ],
  ...[
    ...["sched_getaffinity", "sched_getscheduler", "sched_getparam"],
    "sysinfo",
    "prlimit64",
    "rseq",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
  ],
  // Signals to itself, and the end.
  ...["rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"],
  ...["tgkill", "exit", "exit_group", "prctl", "set_robust_list", "capget"],
  // Directories, cgroups, namespaces and processes, looked at only.
  ...["getdents64", "access", "faccessat", "faccessat2", "readahead", "statfs", "fstatfs"],
  ...["open_by_handle_at", "name_to_handle_at", "openat2", "fcntl", "getxattr", "pidfd_open"],
  // cpuinfo as 32-bit processes of arm64 see it: the kernel looks at who reads.
  "personality",
  // The kernel's task statistics come over netlink.
  ...["socket", "sendto", "recvfrom"],
];

/** The cgroup tree: changes to cgroups, made with the credentials of who asks for them. */
const CGROUP_TREE = [
  ...["setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset"],
  ...["mkdirat", "unlinkat", "fchmod", "fchmodat", "fchown", "fchownat"],
  // Files of events that somebody may be waiting for.
  ...["inotify_add_watch", "inotify_rm_watch"],
];

export function servingCalls(cgroupTree: boolean): readonly string[] {
  return cgroupTree ? [...SERVING, ...CGROUP_TREE] : SERVING;
}

/** Calls of this number and above did not exist when the list was made (Linux 6.18). */
export const FIRST_UNKNOWN_CALL = 470;

const X64: Machine = {
  auditArch: 0xc000003e,
  numbers: {
    ...{ read: 0, write: 1, open: 2, close: 3, stat: 4, fstat: 5, lstat: 6, poll: 7, lseek: 8 },
    ...{ mmap: 9, mprotect: 10, munmap: 11, brk: 12, rt_sigaction: 13, rt_sigprocmask: 14 },
    ...{ rt_sigreturn: 15, ioctl: 16, pread64: 17, readv: 19, writev: 20, access: 21 },
    ...{ sched_yield: 24, mremap: 25, madvise: 28, getpid: 39, socket: 41, sendto: 44 },
    ...{ recvfrom: 45, exit: 60, uname: 63, fcntl: 72, readlink: 89 },
    ...{ getrusage: 98, sysinfo: 99, getuid: 102, getgid: 104, geteuid: 107, getegid: 108 },
    ...{ sched_getparam: 143, sched_getscheduler: 145 },
    ...{ setgroups: 116, setresuid: 117, setresgid: 119, setfsuid: 122, setfsgid: 123 },
    ...{
      capget: 125,
      capset: 126,
      sigaltstack: 131,
      personality: 135,
      statfs: 137,
      fstatfs: 138,
      prctl: 157,
    },
    ...{ gettid: 186, readahead: 187, getxattr: 191, futex: 202, sched_getaffinity: 204 },
    ...{
      getdents64: 217,
      restart_syscall: 219,
      clock_gettime: 228,
      clock_getres: 229,
      clock_nanosleep: 230,
    },
    ...{ exit_group: 231, epoll_wait: 232, epoll_ctl: 233, tgkill: 234, openat: 257 },
    ...{ inotify_add_watch: 254, inotify_rm_watch: 255 },
    ...{
      fchmod: 91,
      fchown: 93,
      mkdirat: 258,
      fchownat: 260,
      newfstatat: 262,
      unlinkat: 263,
      readlinkat: 267,
    },
    ...{ fchmodat: 268, faccessat: 269, ppoll: 271, set_robust_list: 273, epoll_pwait: 281 },
    ...{ eventfd2: 290, prlimit64: 302, name_to_handle_at: 303, open_by_handle_at: 304 },
    ...{ getrandom: 318, membarrier: 324, pkey_mprotect: 329, statx: 332, rseq: 334 },
    ...{ pidfd_open: 434, openat2: 437, faccessat2: 439 },
  },
};

const ARM64: Machine = {
  auditArch: 0xc00000b7,
  numbers: {
    ...{ getxattr: 8, eventfd2: 19, epoll_ctl: 21, epoll_pwait: 22, fcntl: 25 },
    ...{ inotify_add_watch: 27, inotify_rm_watch: 28 },
    ...{ ioctl: 29, mkdirat: 34, unlinkat: 35, statfs: 43, fstatfs: 44, faccessat: 48 },
    ...{
      fchmod: 52,
      fchmodat: 53,
      fchownat: 54,
      fchown: 55,
      openat: 56,
      close: 57,
      getdents64: 61,
    },
    ...{ lseek: 62, read: 63, write: 64, readv: 65, writev: 66, pread64: 67, ppoll: 73 },
    ...{
      readlinkat: 78,
      newfstatat: 79,
      fstat: 80,
      capget: 90,
      capset: 91,
      personality: 92,
      exit: 93,
    },
    ...{ exit_group: 94, futex: 98, set_robust_list: 99, clock_gettime: 113, clock_getres: 114 },
    ...{
      clock_nanosleep: 115,
      sched_getscheduler: 120,
      sched_getparam: 121,
      sched_getaffinity: 123,
      sched_yield: 124,
      restart_syscall: 128,
    },
    ...{ tgkill: 131, sigaltstack: 132, rt_sigaction: 134, rt_sigprocmask: 135 },
    ...{ rt_sigreturn: 139, setresuid: 147, setresgid: 149, setfsuid: 151, setfsgid: 152 },
    ...{ setgroups: 159, uname: 160, getrusage: 165, prctl: 167, getpid: 172, getuid: 174 },
    ...{ geteuid: 175, getgid: 176, getegid: 177, gettid: 178, sysinfo: 179, socket: 198 },
    ...{ sendto: 206, recvfrom: 207, readahead: 213, brk: 214, munmap: 215, mremap: 216 },
    ...{ mmap: 222, mprotect: 226, madvise: 233, prlimit64: 261, name_to_handle_at: 264 },
    ...{ open_by_handle_at: 265, getrandom: 278, membarrier: 283, pkey_mprotect: 288 },
    ...{ statx: 291, rseq: 293, pidfd_open: 434, openat2: 437, faccessat2: 439 },
  },
};

/** `undefined` for machines whose numbers nobody has written down here. */
export const THIS_MACHINE: Machine | undefined = { x64: X64, arm64: ARM64 }[process.arch as string];
