/**
 * The device: one message in a read, one answer in a write, both blocking.
 *
 * What read(2) of `/dev/fuse` may say (`fs/fuse/dev.c`): EINTR, ENOENT (the request was interrupted
 * while it was copied) and EAGAIN (a non-blocking descriptor) are tried again; ENODEV means
 * unmounted, ECONNABORTED aborted through fusectl; EPERM that nothing is mounted on it yet.
 * Of write(2): ENOENT means that the request is gone, because its process was killed or because
 * another worker or a watchdog answered it; that is no failure.
 */
import { openSync, readSync, writeSync } from "node:fs";
import { errno, errnoOf, SystemError } from "../sys/errno.ts";
import { ioctl, POLL, pollFd } from "../sys/native.ts";
import { FUSE_DEV_IOC_CLONE } from "./wire/abi.ts";

/** Where messages come from and answers go: the device, or a test's own memory. */
export interface Channel {
  /** Waits for a message and puts it at the start of `buffer`. @returns its length, 0: unmounted */
  read(buffer: Buffer): number;
  /** Sends one whole message. @returns 0, or a negative errno that the kernel gave */
  write(buffer: Buffer, lengthBytes: number): number;
}

export class DeviceChannel implements Channel {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  read(buffer: Buffer): number {
    for (;;) {
      try {
        return readSync(this.fd, buffer, 0, buffer.length, null);
      } catch (thrown) {
        switch (errnoOf(thrown)) {
          case errno.EINTR:
          case errno.ENOENT:
            continue;
          case errno.EAGAIN:
            pollFd(this.fd, POLL.IN, -1);
            continue;
          case errno.ENODEV:
          case errno.ECONNABORTED:
            return 0;
          default:
            throw new SystemError(`read request from fd ${this.fd}`, errnoOf(thrown));
        }
      }
    }
  }

  write(buffer: Buffer, lengthBytes: number): number {
    for (;;) {
      try {
        writeSync(this.fd, buffer, 0, lengthBytes);
        return 0;
      } catch (thrown) {
        const code = errnoOf(thrown);
        if (code !== errno.EINTR && code !== errno.EAGAIN) return -code;
      }
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
