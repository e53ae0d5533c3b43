/**
 * One request of the kernel, decoded. The object and its buffer are made once and used again for
 * every message: fields that an opcode does not carry keep values of earlier requests, so the types
 * in `operations.ts` show an operation only those that are valid for it.
 *
 * A message is `struct fuse_in_header`, the structure of its opcode, then names or data
 * (`include/uapi/linux/fuse.h`).
 */
import { FUSE_GETATTR_FH, FUSE_UNIQUE_RESEND_HIGH, Opcode, Size } from "./abi.ts";
import { Cursor } from "./cursor.ts";

/** A file handle that does not fit a plain number: none that this library ever gave out. */
export class ForeignId extends Error {
  constructor(what: string) {
    super(`Cannot decode message: ${what} above 2^53`);
    this.name = "ForeignId";
  }
}

/** High word of the largest number that is exact: 2^53 - 1. */
const LARGEST_HIGH_WORD = 2 ** 21 - 1;

export class Request {
  /** What the device was read into. */
  readonly buffer: Buffer;
  /** Length of the message in `buffer`, in bytes. */
  lengthBytes = 0;
  readonly #cursor: Cursor;
  readonly #view: DataView;

  opcode = 0;
  /** The request's id, low and high word: kept apart because bit 63 marks a request sent again. */
  uniqueLow = 0;
  uniqueHigh = 0;
  /** The node id as a number, exact up to 2^53; both words are always exact. */
  nodeId = 0;
  nodeLow = 0;
  nodeHigh = 0;
  uid = 0;
  gid = 0;
  pid = 0;

  fh = 0;
  hasFh = false;
  offset = 0;
  size = 0;
  /** FUSE_READ_* of a READ. */
  readFlags = 0;
  flags = 0;
  mode = 0;
  umask = 0;
  rdev = 0;
  valid = 0;
  ownerUid = 0;
  ownerGid = 0;
  atimeSeconds = 0;
  mtimeSeconds = 0;
  ctimeSeconds = 0;
  nlookup = 0;
  newParent = 0;
  oldNodeId = 0;
  mask = 0;
  kh = 0;
  events = 0;
  whence = 0;
  datasync = false;
  interruptedLow = 0;
  interruptedHigh = 0;

  #nameStart = 0;
  #nameBytes = 0;
  #newNameStart = 0;
  #newNameBytes = 0;
  #dataStart = 0;

  /**
   * @param buffer where messages are read to, or how many bytes of memory to take for them: at
   * least FUSE_MIN_READ_BUFFER, and max_write + 80
   */
  constructor(buffer: Buffer | number) {
    this.buffer = typeof buffer === "number" ? Buffer.allocUnsafeSlow(buffer) : buffer;
    this.#cursor = new Cursor(this.buffer);
    const { buffer: memory, byteOffset, length } = this.buffer;
    this.#view = new DataView(memory, byteOffset, length);
  }

  /** The kernel has sent this request before, to a server that did not answer (protocol 7.40). */
  get resent(): boolean {
    return this.uniqueHigh >= FUSE_UNIQUE_RESEND_HIGH;
  }

  /** The first name of the message as UTF-8. */
  get name(): string {
    return this.buffer.toString("utf8", this.#nameStart, this.#nameStart + this.#nameBytes);
  }

  /** The first name's bytes, valid until the next request. */
  nameBytes(): Buffer {
    return this.buffer.subarray(this.#nameStart, this.#nameStart + this.#nameBytes);
  }

  /** The second name of RENAME, or the target of SYMLINK, as UTF-8. */
  get newName(): string {
    return this.buffer.toString(
      "utf8",
      this.#newNameStart,
      this.#newNameStart + this.#newNameBytes,
    );
  }

  /** The data of WRITE or SETXATTR, valid until the next request. */
  data(): Buffer {
    return this.buffer.subarray(this.#dataStart, this.#dataStart + this.size);
  }

  /** Takes over another request's message, for a queue between `receive` and `dispatch`. */
  copyFrom(other: Request): void {
    if (other.lengthBytes > this.buffer.length)
      throw new RangeError(
        `Cannot copy request: ${other.lengthBytes} bytes into ${this.buffer.length}`,
      );
    other.buffer.copy(this.buffer, 0, 0, other.lengthBytes);
    this.lengthBytes = other.lengthBytes;
    this.decodeHeader();
  }

  /** Decodes the header. @returns false if the message is shorter than one */
  decodeHeader(): boolean {
    const cursor = this.#cursor;
    cursor.reset(0, this.lengthBytes);
    if (cursor.remaining < Size.IN_HEADER) return false;
    // Every request pays for this and for READ: one look at the length, then plain loads.
    const view = this.#view;
    // Bytes 0 to 3 are the length: what read(2) returned is the truth.
    this.opcode = view.getUint32(4, true);
    this.uniqueLow = view.getUint32(8, true);
    this.uniqueHigh = view.getUint32(12, true);
    this.nodeLow = view.getUint32(16, true);
    this.nodeHigh = view.getUint32(20, true);
    this.nodeId = this.nodeHigh * 0x100000000 + this.nodeLow;
    this.uid = view.getUint32(24, true);
    this.gid = view.getUint32(28, true);
    this.pid = view.getUint32(32, true);
    return true;
  }

  /**
   * Decodes what follows the header.
   * @throws MessageTooShort, ForeignId
   */
  decodeBody(): void {
    const cursor = this.#cursor;
    cursor.reset(Size.IN_HEADER - 4, this.lengthBytes);
    const extensionBytes = cursor.u16() * 8;
    cursor.reset(Size.IN_HEADER, this.lengthBytes - extensionBytes);
    switch (this.opcode) {
      case Opcode.READ:
      case Opcode.READDIR:
      case Opcode.READDIRPLUS:
        this.#decodeRead(cursor.skip(Size.READ_IN));
        break;
      case Opcode.LOOKUP:
      case Opcode.UNLINK:
      case Opcode.RMDIR:
      case Opcode.REMOVEXATTR:
        this.#name();
        break;
      case Opcode.GETATTR: {
        this.hasFh = (cursor.u32() & FUSE_GETATTR_FH) !== 0;
        cursor.skip(4);
        const fh = cursor.u64();
        this.fh = this.hasFh ? fh : 0;
        break;
      }
      case Opcode.OPEN:
      case Opcode.OPENDIR:
        this.flags = cursor.u32();
        cursor.skip(4);
        break;
      case Opcode.RELEASE:
      case Opcode.RELEASEDIR:
        this.#fh();
        this.flags = cursor.u32();
        cursor.skip(12); // release_flags, lock_owner
        break;
      case Opcode.FLUSH:
        this.#fh();
        cursor.skip(16);
        break;
      case Opcode.FORGET:
        this.nlookup = cursor.u64();
        break;
      case Opcode.BATCH_FORGET:
        this.size = cursor.u32();
        cursor.skip(4);
        break;
      case Opcode.WRITE:
        this.#fh();
        this.offset = cursor.u64();
        this.size = cursor.u32();
        cursor.skip(12); // write_flags, lock_owner
        this.flags = cursor.u32();
        cursor.skip(4);
        this.#dataStart = cursor.skip(this.size);
        break;
      default:
        this.#decodeRare(cursor);
    }
  }

  /** The next pair of a BATCH_FORGET: sets `nodeId` and `nlookup`. */
  decodeForgetOne(): void {
    this.#node(this.#cursor);
    this.nlookup = this.#cursor.u64();
  }

  /** `struct fuse_read_in`, which lies at `at` as a whole. */
  #decodeRead(at: number): void {
    const view = this.#view;
    const fhHigh = view.getUint32(at + 4, true);
    if (fhHigh > LARGEST_HIGH_WORD) throw new ForeignId("file handle");
    this.fh = fhHigh * 0x100000000 + view.getUint32(at, true);
    this.offset = view.getUint32(at + 12, true) * 0x100000000 + view.getUint32(at + 8, true);
    this.size = view.getUint32(at + 16, true);
    this.readFlags = view.getUint32(at + 20, true);
    this.flags = view.getUint32(at + 32, true); // after lock_owner
  }

  #decodeRare(cursor: Cursor): void {
    switch (this.opcode) {
      case Opcode.SETATTR:
        this.#decodeSetattr(cursor);
        break;
      case Opcode.SYMLINK:
        this.#name();
        this.#newName();
        break;
      case Opcode.MKNOD:
        this.mode = cursor.u32();
        this.rdev = cursor.u32();
        this.umask = cursor.u32();
        cursor.skip(4);
        this.#name();
        break;
      case Opcode.MKDIR:
        this.mode = cursor.u32();
        this.umask = cursor.u32();
        this.#name();
        break;
      case Opcode.RENAME:
        this.newParent = cursor.u64();
        this.flags = 0;
        this.#name();
        this.#newName();
        break;
      case Opcode.RENAME2:
        this.newParent = cursor.u64();
        this.flags = cursor.u32();
        cursor.skip(4);
        this.#name();
        this.#newName();
        break;
      case Opcode.LINK:
        this.oldNodeId = cursor.u64();
        this.#name();
        break;
      case Opcode.CREATE:
        this.flags = cursor.u32();
        this.mode = cursor.u32();
        this.umask = cursor.u32();
        cursor.skip(4);
        this.#name();
        break;
      case Opcode.FSYNC:
      case Opcode.FSYNCDIR:
        this.#fh();
        this.datasync = (cursor.u32() & 1) !== 0;
        cursor.skip(4);
        break;
      case Opcode.SETXATTR:
        this.size = cursor.u32();
        this.flags = cursor.u32();
        this.#name();
        this.#dataStart = cursor.skip(this.size);
        break;
      case Opcode.GETXATTR:
        this.size = cursor.u32();
        cursor.skip(4);
        this.#name();
        break;
      case Opcode.LISTXATTR:
        this.size = cursor.u32();
        cursor.skip(4);
        break;
      case Opcode.ACCESS:
        this.mask = cursor.u32();
        cursor.skip(4);
        break;
      case Opcode.NOTIFY_REPLY:
        cursor.skip(8);
        this.offset = cursor.u64();
        this.size = cursor.u32();
        cursor.skip(20);
        this.#dataStart = cursor.skip(this.size);
        break;
      case Opcode.INTERRUPT:
        this.interruptedLow = cursor.u32();
        this.interruptedHigh = cursor.u32();
        break;
      case Opcode.POLL:
        this.#fh();
        this.kh = cursor.u64();
        this.flags = cursor.u32();
        this.events = cursor.u32();
        break;
      case Opcode.LSEEK:
        this.#fh();
        this.offset = cursor.u64();
        this.whence = cursor.u32();
        cursor.skip(4);
        break;
      default: // READLINK, STATFS, DESTROY have no body; others are not decoded
    }
  }

  /** `struct fuse_setattr_in`: times are whole seconds plus nanoseconds. */
  #decodeSetattr(cursor: Cursor): void {
    this.valid = cursor.u32();
    cursor.skip(4);
    this.fh = cursor.u64();
    this.size = cursor.u64();
    cursor.skip(8); // lock_owner
    this.atimeSeconds = cursor.u64();
    this.mtimeSeconds = cursor.u64();
    this.ctimeSeconds = cursor.u64();
    this.atimeSeconds += cursor.u32() / 1e9;
    this.mtimeSeconds += cursor.u32() / 1e9;
    this.ctimeSeconds += cursor.u32() / 1e9;
    this.mode = cursor.u32();
    cursor.skip(4);
    this.ownerUid = cursor.u32();
    this.ownerGid = cursor.u32();
    cursor.skip(4);
  }

  #node(cursor: Cursor): void {
    this.nodeLow = cursor.u32();
    this.nodeHigh = cursor.u32();
    this.nodeId = this.nodeHigh * 0x100000000 + this.nodeLow;
  }

  #fh(): void {
    this.fh = this.#cursor.u64();
    if (this.fh > Number.MAX_SAFE_INTEGER) throw new ForeignId("file handle");
  }

  #name(): void {
    this.#nameStart = this.#cursor.position;
    this.#nameBytes = this.#cursor.name();
  }

  #newName(): void {
    this.#newNameStart = this.#cursor.position;
    this.#newNameBytes = this.#cursor.name();
  }
}
