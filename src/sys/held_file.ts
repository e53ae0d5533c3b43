/**
 * A kernel file that is kept open and read again by pread: half the cost of open + read + close.
 * Opened at the first read; an object that has gone (ENODEV, ENOENT, ESRCH) reads as `undefined`.
 */
import { canGive } from "./exhaustion.ts";
import { closeFd, openForReading } from "./native.ts";
import { readFd, readOneRecord, refuseExhaustion } from "./read.ts";

export interface HeldFileOptions {
  /** Whether the kernel writes this file in one piece (see `readOneRecord`). */
  readonly oneRecord?: boolean;
  /** Whether what lies at the path later may be something else: a process whose number is used again. */
  readonly onlyThisOne?: boolean;
}

/** Those of this thread that can be opened again, in the order in which they were opened. */
const reopenable = new Set<HeldFile>();
/** The part of them that is closed when descriptors are used up. */
const GIVE_BACK = 1 / 4;

canGive(() => {
  let left = Math.ceil(reopenable.size * GIVE_BACK);
  if (left === 0) return false;
  for (const file of reopenable) {
    file.close();
    if (--left === 0) break;
  }
  return true;
});

/** One file under one path. Not to be shared between threads. */
export class HeldFile {
  readonly path: string;
  readonly #read: (fd: number) => string;
  readonly #onlyThisOne: boolean;
  #fd = -1;

  constructor(path: string, { oneRecord = false, onlyThisOne = false }: HeldFileOptions = {}) {
    this.path = path;
    this.#read = oneRecord ? readOneRecord : readFd;
    this.#onlyThisOne = onlyThisOne;
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
      if (!this.#onlyThisOne) reopenable.add(this);
    }
    try {
      return this.#read(this.#fd);
    } catch {
      this.close();
      return undefined;
    }
  }

  get isOpen(): boolean {
    return this.#fd >= 0;
  }

  /** Gives the descriptor back; the next read opens anew. */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    reopenable.delete(this);
    closeFd(fd);
  }
}
