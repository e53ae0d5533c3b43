/**
 * A kernel file that is kept open and read again by pread: half the cost of open + read + close.
 * Opened at the first read; an object that has gone (ENODEV, ENOENT, ESRCH) reads as `undefined`.
 */
import { closeFd, openForReading } from "./native.ts";
import { readFd, readOneRecord, refuseExhaustion } from "./read.ts";

/** One file under one path. Not to be shared between threads. */
export class HeldFile {
  readonly path: string;
  readonly #read: (fd: number) => string;
  #fd = -1;

  /** @param oneRecord whether the kernel writes this file in one piece (see `readOneRecord`) */
  constructor(path: string, oneRecord = false) {
    this.path = path;
    this.#read = oneRecord ? readOneRecord : readFd;
  }

  /**
   * The whole text as it is now, or `undefined` if the file is missing, unreadable or gone.
   * @throws SystemError if this process may open no more files: that says nothing about this one
   */
  read(): string | undefined {
    if (this.#fd < 0) {
      const fd = openForReading(this.path);
      if (fd < 0) {
        refuseExhaustion(this.path, -fd);
        return undefined;
      }
      this.#fd = fd;
    }
    try {
      return this.#read(this.#fd);
    } catch {
      this.close();
      return undefined;
    }
  }

  /** Gives the descriptor back; the next read opens anew. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    closeFd(fd);
  }
}
