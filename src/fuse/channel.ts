/**
 * The device: one message in a read, one answer in a write, both blocking.
 *
 * What read(2) of `/dev/fuse` may say (`fs/fuse/dev.c`): EINTR, ENOENT (the request was interrupted
 * while it was copied) and EAGAIN (a non-blocking descriptor) are tried again; ENODEV means
 * unmounted, ECONNABORTED aborted through fusectl; EPERM that nothing is mounted on it yet.
 * Of write(2): ENOENT means that the request is gone, because its process was killed or because
 * another worker or a watchdog answered it; that is no failure.
 */
import { openSync } from "node:fs";
import { errno, SystemError } from "../sys/errno.ts";
import { ioctl, POLL, pollFd, readInto, writeFrom } from "../sys/native.ts";
import { FUSE_DEV_IOC_CLONE } from "./wire/abi.ts";

/** Where messages come from and answers go: the device, or a test's own memory. */
export interface Channel {
  /** Waits for a message and puts it at the start of `buffer`. @returns its length, 0: unmounted */
  read(buffer: Buffer): number;
  /** Sends one whole message. @returns 0, or a negative errno that the kernel gave */
  write(buffer: Buffer, lengthBytes: number): number;
}

/** Nothing was read, and nothing is wrong. */
export const NOT_YET = -1;

export class DeviceChannel implements Channel {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(buffer: Buffer): number {
    for (;;) {
      const count = this.readOnce(buffer);
      if (count !== NOT_YET) return count;
    }
  }

  /** As `read`, but returns NOT_YET where that would try again. */
  readOnce(buffer: Buffer): number {
    const count = readInto(this.fd, buffer, buffer.length);
    if (count > 0) return count;
    switch (-count) {
      case errno.EINTR:
      case errno.ENOENT:
        return NOT_YET;
      case errno.EAGAIN:
        pollFd(this.fd, POLL.IN, -1);
        return NOT_YET;
      case errno.ENODEV:
      case errno.ECONNABORTED:
      case 0:
        return 0;
      default:
        throw new SystemError(`read request from fd ${this.fd}`, -count);
    }
  }

  write(buffer: Buffer, lengthBytes: number): number {
    for (;;) {
      const count = writeFrom(this.fd, buffer, lengthBytes);
      if (count >= 0) return 0;
      if (count !== -errno.EINTR && count !== -errno.EAGAIN) return count;
    }
  }

  /**
   * Waits until a request is there. Another reader of the descriptor may take it first.
   * @returns false after `timeoutMs` (-1: wait for ever)
   */
  waitReadable(timeoutMs: number): boolean {
    return pollFd(this.fd, POLL.IN, timeoutMs) !== 0;
  }
}

/**
 * A second descriptor of the connection behind `fd` (FUSE_DEV_IOC_CLONE). Requests read from it are
 * answered on it, and it has its own lock in the kernel.
 */
export function cloneFuseDevice(fd: number, devicePath = "/dev/fuse"): number {
  const clone = openSync(devicePath, "r+");
  const argument = Buffer.alloc(4);
  argument.writeUInt32LE(fd, 0);
  ioctl(clone, FUSE_DEV_IOC_CLONE, argument);
  return clone;
}
