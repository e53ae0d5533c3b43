/**
 * Entries of a directory as getdents64(2) gives them: `struct linux_dirent64` is the inode number
 * (64 bits), where the next entry begins (64), the record's length (16), the type (8), the name and
 * a zero.
 */
import { readDirectory } from "../sys/native.ts";

export interface Dirent {
  readonly ino: number;
  readonly name: Buffer;
  readonly type: "directory" | "file";
  /** The offset behind this entry: kernfs makes it of the name, so it stays right whatever changes. */
  readonly next: number;
}

const DT_DIR = 4;
const HEAD_BYTES = 19;

/**
 * Entries from the descriptor's offset on. Each is valid until the next one is asked for.
 * @param buffer room for as many as one system call is to bring
 */
export function* direntsOf(fd: number, buffer: Buffer): Generator<Dirent> {
  for (;;) {
    const length = readDirectory(fd, buffer);
    if (length === 0) return;
    yield* parseDirents(buffer.subarray(0, length));
  }
}

/** The entries of one answer. */
export function* parseDirents(bytes: Buffer): Generator<Dirent> {
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const recordBytes = bytes.readUInt16LE(at + 16);
    if (recordBytes < HEAD_BYTES) return;
    const nameAt = at + HEAD_BYTES;
    const end = bytes.indexOf(0, nameAt);
    yield {
      ino: Number(bytes.readBigUInt64LE(at)),
      next: Number(bytes.readBigInt64LE(at + 8)),
      type: bytes[at + 18] === DT_DIR ? "directory" : "file",
      name: bytes.subarray(nameAt, end),
    };
    at += recordBytes;
  }
}
