/**
 * Files of which more can be had than their text: what is written to them means something, and one
 * can wait for them with poll(2). Called by serving threads; synchronous.
 */
export interface NodeEvents {
  /** Whether the file `local` is such a one. */
  has(local: number): boolean;
  /** Whether waiting is possible at all; without it the kernel is told so, and never asks again. */
  readonly canPoll: boolean;
  /**
   * @param handle the open file; 0 if there was no place for it
   * @param reader the container whose file it is, as `NodeSource.reader` gave it
   * @param pid the thread that writes
   * @returns bytes taken, or a negative errno
   */
  write(handle: number, reader: number, local: number, pid: number, data: Buffer): number;
  /**
   * @param kh the kernel's name for the waiting file
   * @param waits whether somebody wants to be woken
   * @returns events of poll(2) that hold now
   */
  poll(handle: number, local: number, kh: number, waits: boolean): number;
  close(handle: number): void;
}

/** Events of every file that is always ready: IN, OUT, RDNORM, WRNORM. */
export const ALWAYS_READY: number = 0x1 | 0x4 | 0x40 | 0x100;
