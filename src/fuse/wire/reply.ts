/**
 * The answer to one request, written straight into a buffer that is made once: `struct
 * fuse_out_header`, then the structure or the data of the opcode. Every writer returns the length
 * of what it wrote in bytes, which is what an operation returns.
 */
import { DT, Size } from "./abi.ts";

/** What `stat` shows of a node. Absent fields are 0; `nlink` is 1 and `blksize` 4096. */
export interface Attributes {
  /** The inode number programs see; usually the node id. */
  ino: number | bigint;
  /** File type and permission bits, as in `stat` (`0o100444`, `0o40555`). */
  mode: number;
  size?: number;
  /** In units of 512 bytes. */
  blocks?: number;
  nlink?: number;
  uid?: number;
  gid?: number;
  rdev?: number;
  blksize?: number;
  atimeSeconds?: number;
  mtimeSeconds?: number;
  ctimeSeconds?: number;
}

/** What `statfs` shows. */
export interface Statfs {
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  bsize: number;
  namelen: number;
  frsize: number;
}

/** Lifetimes that mean "until notified otherwise". */
export const FOREVER_SECONDS = 2 ** 31;

export class Reply {
  /** Header and payload. */
  readonly buffer: Buffer;
  /** The payload: operations write here from offset 0. */
  readonly data: Buffer;
  /** Bytes of directory entries written so far by `dirent`. */
  length = 0;
  readonly #view: DataView;
  #limitBytes = 0;

  /** @param payloadBytes the longest answer there may be */
  constructor(payloadBytes: number) {
    this.buffer = Buffer.alloc(Size.OUT_HEADER + payloadBytes);
    this.data = this.buffer.subarray(Size.OUT_HEADER);
    this.#view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length);
  }

  /** Forgets directory entries of the request before; `limitBytes` is the room the reader gives. */
  begin(limitBytes: number): void {
    this.length = 0;
    this.#limitBytes = Math.min(limitBytes, this.data.length);
  }

  /**
   * Writes the header.
   * @param error 0 or a negative errno
   * @returns the whole message's length in bytes
   */
  header(uniqueLow: number, uniqueHigh: number, error: number, payloadBytes: number): number {
    const view = this.#view;
    const length = Size.OUT_HEADER + payloadBytes;
    view.setUint32(0, length, true);
    view.setInt32(4, error, true);
    view.setUint32(8, uniqueLow, true);
    view.setUint32(12, uniqueHigh, true);
    return length;
  }

  /**
   * `struct fuse_entry_out`: what LOOKUP, MKDIR, MKNOD, SYMLINK and LINK answer.
   * @param entrySeconds how long the kernel may keep the name without asking again
   * @param attrSeconds how long it may keep the attributes
   * @param generation tells apart two uses of one node id
   */
  entry(
    nodeId: number | bigint,
    attributes: Attributes,
    entrySeconds = 1,
    attrSeconds: number = entrySeconds,
    generation = 0,
  ): number {
    this.#entryAt(Size.OUT_HEADER, nodeId, attributes, entrySeconds, attrSeconds, generation);
    return Size.ENTRY_OUT;
  }

  /** "There is no such name", which the kernel may remember for `seconds` (ENOENT is not remembered). */
  noEntry(seconds: number): number {
    this.buffer.fill(0, Size.OUT_HEADER, Size.OUT_HEADER + Size.ENTRY_OUT);
    this.#time(Size.OUT_HEADER + 16, Size.OUT_HEADER + 32, seconds);
    return Size.ENTRY_OUT;
  }

  /** `struct fuse_attr_out`: GETATTR and SETATTR. */
  attributes(attributes: Attributes, attrSeconds = 1): number {
    const at = Size.OUT_HEADER;
    this.#time(at, at + 8, attrSeconds);
    this.#view.setUint32(at + 12, 0, true);
    this.#attr(at + 16, attributes);
    return Size.ATTR_OUT;
  }

  /** `struct fuse_open_out`: OPEN and OPENDIR. @param flags of `FOPEN` */
  opened(fh: number, flags = 0): number {
    this.#openOut(Size.OUT_HEADER, fh, flags);
    return Size.OPEN_OUT;
  }

  /** CREATE: an entry and an open file. */
  created(
    nodeId: number,
    attributes: Attributes,
    fh: number,
    flags = 0,
    entrySeconds = 1,
    attrSeconds: number = entrySeconds,
  ): number {
    this.#entryAt(Size.OUT_HEADER, nodeId, attributes, entrySeconds, attrSeconds, 0);
    this.#openOut(Size.OUT_HEADER + Size.ENTRY_OUT, fh, flags);
    return Size.ENTRY_OUT + Size.OPEN_OUT;
  }

  /** `struct fuse_write_out`: how much of a WRITE was taken. */
  written(bytes: number): number {
    this.#u64(Size.OUT_HEADER, bytes);
    return Size.WRITE_OUT;
  }

  /** `struct fuse_poll_out`. @param events those that hold now, of `POLL*` in poll.h */
  polled(events: number): number {
    this.#u64(Size.OUT_HEADER, events);
    return Size.POLL_OUT;
  }

  /** `struct fuse_lseek_out`. */
  sought(offset: number): number {
    this.#u64(Size.OUT_HEADER, offset);
    return Size.LSEEK_OUT;
  }

  /** `struct fuse_getxattr_out`: the size of a value or list that was asked with size 0. */
  xattrSize(bytes: number): number {
    this.#u64(Size.OUT_HEADER, bytes);
    return Size.GETXATTR_OUT;
  }

  /** `struct fuse_statfs_out`. */
  statfs(values: Statfs): number {
    const at = Size.OUT_HEADER;
    this.buffer.fill(0, at, at + Size.STATFS_OUT);
    this.#u64(at, values.blocks);
    this.#u64(at + 8, values.bfree);
    this.#u64(at + 16, values.bavail);
    this.#u64(at + 24, values.files);
    this.#u64(at + 32, values.ffree);
    this.#view.setUint32(at + 40, values.bsize, true);
    this.#view.setUint32(at + 44, values.namelen, true);
    this.#view.setUint32(at + 48, values.frsize, true);
    return Size.STATFS_OUT;
  }

  /**
   * What a READ of a file with these contents answers: nothing at and beyond its end.
   * @param size the most that was asked for
   */
  slice(contents: Uint8Array, offset: number, size: number): number {
    // Buffer.copy throws where it should start beyond the end of its source.
    if (offset >= contents.length) return 0;
    const end = Math.min(offset + size, contents.length);
    if (contents instanceof Buffer) return contents.copy(this.data, 0, offset, end);
    this.data.set(contents.subarray(offset, end));
    return end - offset;
  }

  /** Text as the whole payload: READLINK, or a small READ from offset 0. */
  text(text: string): number {
    return this.data.write(text, "utf8");
  }

  /**
   * Adds one entry (`struct fuse_dirent`) to the answer of a READDIR, which in the end is `length`.
   * @param nextOffset where a later READDIR goes on after this entry: never 0
   * @param name as bytes where it need not be UTF-8
   * @param mode whose file type bits become the entry's type; 0 is "unknown"
   * @returns false if it does not fit: the rest is for the next READDIR
   */
  dirent(
    ino: number | bigint,
    name: string | Uint8Array,
    mode: number,
    nextOffset: number,
  ): boolean {
    const nameBytes = Buffer.byteLength(name);
    const entryBytes = (Size.DIRENT + nameBytes + 7) & ~7;
    if (this.length + entryBytes > this.#limitBytes) return false;
    this.#dirent(Size.OUT_HEADER + this.length, entryBytes, ino, name, nameBytes, mode, nextOffset);
    this.length += entryBytes;
    return true;
  }

  /** As `dirent`, with the node itself (`struct fuse_direntplus`): counts as a LOOKUP of it. */
  direntPlus(
    nodeId: number | bigint,
    name: string,
    attributes: Attributes,
    nextOffset: number,
    entrySeconds = 1,
    attrSeconds: number = entrySeconds,
  ): boolean {
    const nameBytes = Buffer.byteLength(name);
    const entryBytes = (Size.DIRENT + nameBytes + 7) & ~7;
    if (this.length + Size.ENTRY_OUT + entryBytes > this.#limitBytes) return false;
    const at = Size.OUT_HEADER + this.length;
    this.#entryAt(at, nodeId, attributes, entrySeconds, attrSeconds, 0);
    this.#dirent(
      at + Size.ENTRY_OUT,
      entryBytes,
      attributes.ino,
      name,
      nameBytes,
      attributes.mode,
      nextOffset,
    );
    this.length += Size.ENTRY_OUT + entryBytes;
    return true;
  }

  #dirent(
    at: number,
    entryBytes: number,
    ino: number | bigint,
    name: string | Uint8Array,
    nameBytes: number,
    mode: number,
    nextOffset: number,
  ): void {
    const nameAt = at + Size.DIRENT;
    this.#u64(at, ino);
    this.#u64(at + 8, nextOffset);
    this.#view.setUint32(at + 16, nameBytes, true);
    this.#view.setUint32(at + 20, mode === 0 ? DT.UNKNOWN : (mode >> 12) & 15, true);
    if (typeof name === "string") this.buffer.write(name, nameAt, "utf8");
    else this.buffer.set(name, nameAt);
    this.buffer.fill(0, nameAt + nameBytes, at + entryBytes);
  }

  #entryAt(
    at: number,
    nodeId: number | bigint,
    attributes: Attributes,
    entrySeconds: number,
    attrSeconds: number,
    generation: number,
  ): void {
    this.#u64(at, nodeId);
    this.#u64(at + 8, generation);
    this.#time(at + 16, at + 32, entrySeconds);
    this.#time(at + 24, at + 36, attrSeconds);
    this.#attr(at + 40, attributes);
  }

  #openOut(at: number, fh: number, flags: number): void {
    this.#u64(at, fh);
    this.#view.setUint32(at + 8, flags, true);
    this.#view.setUint32(at + 12, 0, true); // backing_id
  }

  /** `struct fuse_attr`. */
  #attr(at: number, attributes: Attributes): void {
    const view = this.#view;
    this.#u64(at, attributes.ino);
    this.#u64(at + 8, attributes.size ?? 0);
    this.#u64(at + 16, attributes.blocks ?? 0);
    this.#time(at + 24, at + 48, attributes.atimeSeconds ?? 0);
    this.#time(at + 32, at + 52, attributes.mtimeSeconds ?? 0);
    this.#time(at + 40, at + 56, attributes.ctimeSeconds ?? 0);
    view.setUint32(at + 60, attributes.mode, true);
    view.setUint32(at + 64, attributes.nlink ?? 1, true);
    view.setUint32(at + 68, attributes.uid ?? 0, true);
    view.setUint32(at + 72, attributes.gid ?? 0, true);
    view.setUint32(at + 76, attributes.rdev ?? 0, true);
    view.setUint32(at + 80, attributes.blksize ?? 4096, true);
    view.setUint32(at + 84, 0, true); // flags
  }

  /** Seconds as the kernel splits them: a 64-bit count and, elsewhere, 32 bits of nanoseconds. */
  #time(secondsAt: number, nanosecondsAt: number, seconds: number): void {
    const whole = Math.floor(Math.min(seconds, 2 ** 40)); // Infinity, too, becomes a number
    this.#u64(secondsAt, whole);
    this.#view.setUint32(nanosecondsAt, Math.floor((seconds - whole) * 1e9), true);
  }

  #u64(at: number, value: number | bigint): void {
    if (typeof value === "bigint") {
      this.#view.setBigUint64(at, value, true);
      return;
    }
    this.#view.setUint32(at, value, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
  }
}
