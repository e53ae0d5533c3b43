/**
 * The `-o` of the command line: which are flags of mount(2), which go to the kernel's FUSE as text,
 * and which LXCFS sets itself, so that a user's copy is dropped.
 */
import { MS } from "../sys/native.ts";

/** What mount(2) takes. */
export interface MountOptions {
  readonly flags: number;
  /** Options for the filesystem, separated by commas. */
  readonly data: string;
}

const FLAGS: Record<string, number> = {
  ro: MS.RDONLY,
  nosuid: MS.NOSUID,
  nodev: MS.NODEV,
  noexec: MS.NOEXEC,
  noatime: 1024,
  nodiratime: 2048,
  relatime: 1 << 21,
  sync: 16,
  dirsync: 128,
};
/** Set by us or the default anyway, or known to libfuse only and without meaning here. */
const DROPPED =
  /^(rw|suid|dev|exec|async|atime|auto|noauto|user|nofail|_netdev|allow_other|nonempty|direct_io|kernel_cache|auto_unmount|intr|(entry|attr|negative|ac_attr)_timeout=.*|fsname=.*|subtype=.*|max_write=.*|x-.*)$/;
const FOR_KERNEL = /^(default_permissions|max_read=\d+|blksize=\d+|(fs|def|root)?context=.+)$/;

/** @throws Error naming the option that nobody knows */
export function parseMountOptions(text: string): MountOptions {
  let flags = MS.NOSUID | MS.NODEV;
  const data: string[] = [];
  for (const option of text.split(",")) {
    const flag = FLAGS[option];
    if (flag !== undefined) flags |= flag;
    else if (FOR_KERNEL.test(option)) data.push(option);
    else if (option !== "" && !DROPPED.test(option)) {
      throw new Error(`Cannot mount with -o ${option}: no such mount option`);
    }
  }
  return { flags, data: data.join(",") };
}
