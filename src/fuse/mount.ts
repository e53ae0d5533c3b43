/**
 * Mounts and unmounts without helper programs: `/dev/fuse` is opened, then handed to mount(2) as an
 * option. Kernel document: `Documentation/filesystems/fuse.rst`.
 */
import { openSync, statfsSync, statSync } from "node:fs";
import { errno, errnoName, errnoOf } from "../sys/errno.ts";
import { MNT, mount, MS, umount } from "../sys/native.ts";

/** A mount that could not be made or removed; the message says what was found and what to do. */
export class MountError extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(message: string, code: number, cause?: unknown) {
    super(message, { cause });
    this.name = "MountError";
    this.errno = code;
    this.code = errnoName(code);
  }
}

export interface MountOptions {
  /** From `openFuseDevice`; closing the last descriptor of it ends the filesystem. */
  fd: number;
  /** An existing directory. */
  mountpoint: string;
  /** The type shown is `fuse.<subtype>`; default plain `fuse`. */
  subtype?: string;
  /** What /proc/mounts shows in the first column; default the subtype. */
  source?: string;
  /** Let processes of other users in; default true, for without it even root is kept out. */
  allowOther?: boolean;
  /** Have the kernel check permissions by mode, uid and gid. Needed for ALLOW_IDMAP. */
  defaultPermissions?: boolean;
  /** Longest READ; the kernel takes at least 4096. */
  maxReadBytes?: number;
  readOnly?: boolean;
}

/**
 * Opens the device. The descriptor is closed on exec.
 * @throws MountError
 */
export function openFuseDevice(devicePath = "/dev/fuse"): number {
  try {
    return openSync(devicePath, "r+");
  } catch (thrown) {
    const code = errnoOf(thrown);
    throw new MountError(`Cannot open ${devicePath}: ${deviceHint(code)}`, code, thrown);
  }
}

function deviceHint(code: number): string {
  switch (code) {
    case errno.ENOENT:
      return "it does not exist; load the kernel module fuse, and in a container pass the device in";
    case errno.ENODEV:
    case errno.ENXIO:
      return "the kernel has no FUSE; load the kernel module fuse";
    case errno.EACCES:
    case errno.EPERM:
      return "not permitted; run as root, and in a container allow the device (c 10:229 rwm)";
    default:
      return errnoName(code);
  }
}

/**
 * Mounts the filesystem that will be served on `fd`. Returns at once; accesses wait for a session.
 * @throws MountError
 */
export function mountFuse(options: MountOptions): void {
  const { mountpoint, subtype } = options;
  checkMountpoint(mountpoint);
  const data = [`fd=${options.fd}`, "rootmode=40000", "user_id=0", "group_id=0"];
  if (options.allowOther ?? true) data.push("allow_other");
  if (options.defaultPermissions) data.push("default_permissions");
  if (options.maxReadBytes !== undefined) data.push(`max_read=${options.maxReadBytes}`);
  const type = subtype === undefined ? "fuse" : `fuse.${subtype}`;
  const flags = MS.NOSUID | MS.NODEV | (options.readOnly ? MS.RDONLY : 0);
  try {
    mount(options.source ?? subtype ?? "fuse", mountpoint, type, flags, data.join(","));
  } catch (thrown) {
    const code = errnoOf(thrown);
    throw new MountError(`Cannot mount on ${mountpoint}: ${mountHint(code)}`, code, thrown);
  }
}

function checkMountpoint(mountpoint: string): void {
  if (isDeadMount(mountpoint))
    throw new MountError(
      `Cannot mount on ${mountpoint}: the server of the filesystem mounted there is gone; unmount it first`,
      errno.ENOTCONN,
    );
  let isDirectory: boolean;
  try {
    isDirectory = statSync(mountpoint).isDirectory();
  } catch (thrown) {
    const code = errnoOf(thrown);
    const found =
      code === errno.ENOENT ? "it does not exist; create the directory first" : errnoName(code);
    throw new MountError(`Cannot mount on ${mountpoint}: ${found}`, code, thrown);
  }
  if (!isDirectory)
    throw new MountError(`Cannot mount on ${mountpoint}: it is not a directory`, errno.ENOTDIR);
}

function mountHint(code: number): string {
  switch (code) {
    case errno.EPERM:
    case errno.EACCES:
      return "not permitted; run as root (CAP_SYS_ADMIN in the mount namespace)";
    case errno.ENODEV:
      return "the kernel has no FUSE; load the kernel module fuse";
    case errno.EINVAL:
      return "the kernel refused the options, or the descriptor is not a fresh /dev/fuse";
    default:
      return errnoName(code);
  }
}

/**
 * Unmounts. If something is in use there, the mount is detached: it goes from the tree at once, and
 * the filesystem ends when its last user has gone.
 * @returns false if nothing was mounted there
 * @throws MountError
 */
export function unmountFuse(mountpoint: string): boolean {
  try {
    umount(mountpoint, MNT.UMOUNT_NOFOLLOW);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === errno.EBUSY) return detach(mountpoint);
    return nothingThere(thrown, mountpoint);
  }
}

function detach(mountpoint: string): boolean {
  try {
    umount(mountpoint, MNT.DETACH | MNT.UMOUNT_NOFOLLOW);
    return true;
  } catch (thrown) {
    return nothingThere(thrown, mountpoint);
  }
}

/** EINVAL: not a mountpoint. ENOENT: no such path. Anything else is thrown. */
function nothingThere(thrown: unknown, mountpoint: string): false {
  const code = errnoOf(thrown);
  if (code === errno.EINVAL || code === errno.ENOENT) return false;
  const found = code === errno.EPERM ? "not permitted; run as root" : errnoName(code);
  throw new MountError(`Cannot unmount ${mountpoint}: ${found}`, code, thrown);
}

/**
 * Whether a FUSE filesystem is mounted on `path` whose server is gone ("Transport endpoint is not
 * connected"). Asks by statfs(2), which the kernel never answers from its caches: stat(2) may show the
 * attributes of a dead filesystem as long as they had been promised to last. A server that lives but
 * does not answer makes this wait.
 */
export function isDeadMount(path: string): boolean {
  try {
    statfsSync(path);
    return false;
  } catch (thrown) {
    const code = errnoOf(thrown);
    // ECONNABORTED: it died while it was asked.
    return code === errno.ENOTCONN || code === errno.ECONNABORTED;
  }
}

/** Detaches every dead mount that lies on `path`. @returns how many there were @throws MountError */
export function detachDeadMounts(path: string): number {
  let count = 0;
  while (isDeadMount(path) && detach(path)) count++;
  return count;
}
