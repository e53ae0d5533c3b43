/** Entries of the tree as the protocol wants them: attributes and node ids. */
import { fstatSync } from "node:fs";
import type { Attributes, Reply } from "../fuse/wire/reply.ts";
import { errno } from "../sys/errno.ts";
import { closeFd, openEntry } from "../sys/native.ts";
import { readFdBytes } from "../sys/read.ts";
import { nodeIdOf } from "../vfs/node_attributes.ts";
import { bytesOf } from "./bytes.ts";
import { type OpenNode, openNode, tellsOfChanges } from "./change_events.ts";
import { type Seen, type TreeContext } from "./context.ts";
import { movesWhat } from "./decide.ts";
import type { MountedHierarchy } from "./hierarchies.ts";
import { ABOVE, type CgroupNode, localOfNode, ownerOfNode } from "./node.ts";

export interface Stats {
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

const O_RDONLY = 0;
const O_PATH = 0o10000000;
const O_PATH_NOFOLLOW = O_PATH | (process.arch === "arm64" ? 0o100000 : 0o400000);
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
const S_IFMT = 0o170000;
const ANCESTOR_MODE = S_IFDIR | 0o555;
/**
 * The least size of a file. With 0, which the kernel's own have, sendfile(2) finds the end at once, and
 * busybox's cat, which uses it, prints nothing.
 */
const FILE_BYTES = 4096;

/** What an entry is; the entry itself is not opened. */
export function statEntry(directoryFd: number, name: Buffer): Stats {
  const fd = openEntry(directoryFd, name, O_PATH_NOFOLLOW);
  try {
    return fstatSync(fd);
  } finally {
    closeFd(fd);
  }
}

/** What is meant by a request, a directory or a file in it. */
export function statIn(directoryFd: number, { file }: Pick<Seen, "file">): Stats {
  return file === undefined ? fstatSync(directoryFd) : statEntry(directoryFd, bytesOf(file));
}

/** @param bytes a file's size */
export function attributesOf(stats: Stats, bytes: number = FILE_BYTES): Attributes {
  return {
    ino: stats.ino,
    mode: stats.mode,
    size: isDirectory(stats) ? 0 : bytes,
    nlink: stats.nlink,
    uid: stats.uid,
    gid: stats.gid,
    atimeSeconds: stats.atimeMs / 1000,
    mtimeSeconds: stats.mtimeMs / 1000,
    ctimeSeconds: stats.ctimeMs / 1000,
  };
}

/** Attributes of what a request means, a directory or a file that is the caller's. */
export function attributesOfSeen(
  { cgroups, slow }: TreeContext,
  seen: Pick<Seen, "mounted" | "id" | "file">,
): Attributes {
  const isList = seen.file !== undefined && movesWhat(seen.file) !== undefined;
  if (isList) slow();
  return cgroups.withDirectory(seen.mounted, seen.id, (fd) => {
    const stats = statIn(fd, seen);
    return attributesOf(stats, isList ? listBytes(fd, bytesOf(seen.file ?? "")) : FILE_BYTES);
  });
}

/**
 * A list of processes may be longer than that, and some programs (Node's readFile) read as many bytes
 * as they are told. As many as there are now, in whole pages: what programs that seek to the end
 * expect of kernel files.
 */
function listBytes(directoryFd: number, name: Buffer): number {
  let fd: number;
  try {
    fd = openEntry(directoryFd, name, O_RDONLY);
  } catch {
    return FILE_BYTES;
  }
  try {
    const { length } = readFdBytes(fd);
    return Math.max(1, Math.ceil(length / FILE_BYTES)) * FILE_BYTES;
  } catch {
    // A threaded cgroup has no list of processes.
    return FILE_BYTES;
  } finally {
    closeFd(fd);
  }
}

/** All that is told of an ancestor: that it is there. */
export function ancestorAttributes(ino: number): Attributes {
  return {
    ino,
    mode: ANCESTOR_MODE,
    nlink: 2,
    uid: 0,
    gid: 0,
    atimeSeconds: 0,
    mtimeSeconds: 0,
    ctimeSeconds: 0,
  };
}

function isDirectory(stats: Stats): boolean {
  return (stats.mode & S_IFMT) === S_IFDIR;
}

/** The answer for a node. The kernel is to ask each time: the next who asks may see another one. */
export function nodeEntry(reply: Reply, node: CgroupNode, attributes: Attributes): number {
  return reply.entry(nodeIdOf(ownerOfNode(node), localOfNode(node)), attributes, 0, 0);
}

/** The answer for the directory `id`, `depth` steps down, above `viewer`. */
export function aboveEntry(
  reply: Reply,
  { slot }: MountedHierarchy,
  viewer: number,
  depth: number,
  id: number,
): number {
  return nodeEntry(reply, { slot, id: viewer, depth, file: ABOVE }, ancestorAttributes(id));
}

/** The answer for an entry of a directory that is the caller's, by what it is. */
export function entryOf(
  context: TreeContext,
  reply: Reply,
  { mounted, id, depth, caller }: Seen,
  stats: Stats,
  name: Buffer,
): number {
  const { names, changes, cgroups } = context;
  const attributes = attributesOf(stats);
  const { slot, hierarchy } = mounted;
  if (isDirectory(stats))
    return nodeEntry(reply, { slot, id: stats.ino, depth, file: 0 }, attributes);
  const text = name.toString("latin1");
  const file = names.numberOf(text);
  if (file === undefined) return -errno.ENOENT;
  const node = { slot, id, depth, file };
  if (tellsOfChanges(text)) {
    const space = caller.isHost ? 0 : (caller.rootId(hierarchy) ?? 0);
    const [owner, local] = [ownerOfNode(node), localOfNode(node)];
    // Not to be read: whoever watches the kernel's own file is not to see it opened.
    const open: OpenNode = (each) => openNode(cgroups, names, each, O_PATH);
    changes.lookUp({ owner, local, space }, open);
  }
  return nodeEntry(reply, node, attributes);
}

/** A name of one entry: the kernel sends no other, and no other is let through. */
export function isEntryName(name: Buffer): boolean {
  const text = name.toString("latin1");
  return text !== "" && text !== "." && text !== ".." && !text.includes("/");
}
