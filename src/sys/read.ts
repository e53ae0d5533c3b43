/**
 * Bounded reads of kernel files. `stat` is never asked for a size (procfs says 0, sysfs 4096), and
 * nothing is read without a limit.
 */
import { SystemError } from "./errno.ts";
import { isExhaustion } from "./exhaustion.ts";
import { closeFd, openForReading, preadInto } from "./native.ts";

/** No kernel file that is read whole is larger than this. */
export const MAX_KERNEL_FILE_BYTES: number = 4 << 20;

let scratch = Buffer.allocUnsafeSlow(16384);

/**
 * Reads `fd` from offset 0 to its end into a shared scratch buffer, growing it up to `maxBytes`.
 * @returns the bytes read, a view that is valid until the next call in this thread
 * @throws whatever read(2) says
 */
export function readFdBytes(fd: number, maxBytes: number = MAX_KERNEL_FILE_BYTES): Buffer {
  let length = 0;
  for (;;) {
    if (length === scratch.length) {
      if (length >= maxBytes) break;
      const larger = Buffer.allocUnsafeSlow(Math.min(scratch.length * 4, maxBytes));
      scratch.copy(larger, 0, 0, length);
      scratch = larger;
    }
    const count = preadAt(fd, length);
    if (count === 0) break;
    length += count;
  }
  return scratch.subarray(0, length);
}

/** What fits behind the first `offset` bytes. @throws SystemError */
function preadAt(fd: number, offset: number): number {
  const count = preadInto(fd, scratch, offset, offset);
  if (count < 0) throw new SystemError(`read from fd ${fd}`, -count);
  return count;
}

/**
 * As `readFd`, for files that the kernel writes in one piece (single_open() and kernfs' seq_show:
 * all of cgroupfs but its lists of processes): what comes short of the buffer is all there is, so
 * that the second read, half of the cost, need not be.
 */
export function readOneRecord(fd: number): string {
  const count = preadAt(fd, 0);
  return count < scratch.length ? scratch.toString("latin1", 0, count) : readFd(fd);
}

/** Reads `fd` from its start to its end as Latin-1 text: kernel text is ASCII, names are bytes. */
export function readFd(fd: number, maxBytes?: number): string {
  return readFdBytes(fd, maxBytes).toString("latin1");
}

/** Reads a whole kernel file. @throws whatever open(2) or read(2) say */
export function readFile(path: string, maxBytes?: number): string {
  const fd = openForReading(path);
  if (fd < 0) throw new SystemError(`open ${path}`, -fd);
  try {
    return readFd(fd, maxBytes);
  } finally {
    closeFd(fd);
  }
}

/**
 * Reads a whole kernel file, or nothing where it is missing, unreadable or its object is gone.
 * @throws SystemError if this process may open no more files: that says nothing about this one
 */
export function tryReadFile(path: string, maxBytes?: number): string | undefined {
  const fd = openForReading(path);
  if (fd < 0) {
    refuseExhaustion(path, -fd);
    return undefined;
  }
  try {
    return readFd(fd, maxBytes);
  } catch {
    return undefined;
  } finally {
    closeFd(fd);
  }
}

/** A limit that cannot be looked at must not be taken for none. @throws SystemError */
export function refuseExhaustion(path: string, code: number): void {
  if (isExhaustion(code)) throw new SystemError(`open ${path}`, code);
}
