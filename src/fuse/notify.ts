/**
 * Messages to the kernel that answer no request (`enum fuse_notify_code`): throw away what is
 * cached, wake who polls, send again what was left unanswered. They may be sent from any thread.
 *
 * Each returns 0 or the negative errno the kernel gave: ENOENT for a node or a name that it does not
 * know, which mostly is no failure. Trap (`fs/fuse/dev.c`): INVAL_INODE and INVAL_ENTRY wait for
 * locks that a reader of the same node or directory may hold while it waits for its answer. Never
 * send them from within an operation on that node.
 */
import type { Channel } from "./channel.ts";
import { FUSE_EXPIRE_ONLY, NotifyCode, Size } from "./wire/abi.ts";

export class Notifier {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /**
   * Drops the attributes and the cached pages of a node.
   * @param offset of the first byte; negative: the attributes only
   * @param lengthBytes 0 or less: to the end
   */
  invalInode(nodeId: number | bigint, offset = 0, lengthBytes = 0): number {
    const message = begin(NotifyCode.INVAL_INODE, 24);
    message.writeBigUInt64LE(BigInt(nodeId), 16);
    message.writeBigInt64LE(BigInt(offset), 24);
    message.writeBigInt64LE(BigInt(lengthBytes), 32);
    return this.#send(message);
  }

  /** Drops a name from the dentry cache; `expireOnly` (7.38) has it looked up anew instead. */
  invalEntry(parent: number | bigint, name: string, expireOnly = false): number {
    const nameBytes = Buffer.byteLength(name);
    const message = begin(NotifyCode.INVAL_ENTRY, 16 + nameBytes + 1);
    message.writeBigUInt64LE(BigInt(parent), 16);
    message.writeUInt32LE(nameBytes, 24);
    message.writeUInt32LE(expireOnly ? FUSE_EXPIRE_ONLY : 0, 28);
    message.write(name, 32);
    return this.#send(message);
  }

  /** As `invalEntry`, and tells inotify watchers that `child` has been deleted. */
  delete(parent: number | bigint, child: number | bigint, name: string): number {
    const nameBytes = Buffer.byteLength(name);
    const message = begin(NotifyCode.DELETE, 24 + nameBytes + 1);
    message.writeBigUInt64LE(BigInt(parent), 16);
    message.writeBigUInt64LE(BigInt(child), 24);
    message.writeUInt32LE(nameBytes, 32);
    message.write(name, 40);
    return this.#send(message);
  }

  /** Puts `data` into the page cache of a node. */
  store(nodeId: number | bigint, offset: number, data: Uint8Array): number {
    const message = begin(NotifyCode.STORE, 24 + data.length);
    message.writeBigUInt64LE(BigInt(nodeId), 16);
    message.writeBigUInt64LE(BigInt(offset), 24);
    message.writeUInt32LE(data.length, 32);
    message.set(data, 40);
    return this.#send(message);
  }

  /**
   * Asks for what the page cache of a node holds. It comes to whoever reads the next request, as a
   * message that is not answered (`Operations.retrieved`), and so also wakes a thread that waits.
   */
  retrieve(nodeId: number | bigint, offset: number, lengthBytes: number): number {
    const message = begin(NotifyCode.RETRIEVE, 32);
    message.writeBigUInt64LE(BigInt(nodeId), 24);
    message.writeBigUInt64LE(BigInt(offset), 32);
    message.writeUInt32LE(lengthBytes, 40);
    return this.#send(message);
  }

  /** Wakes the pollers of the file that POLL named `kh`; they then ask by POLL what happened. */
  poll(kh: number): number {
    const message = begin(NotifyCode.POLL, 8);
    message.writeBigUInt64LE(BigInt(kh), 16);
    return this.#send(message);
  }

  /**
   * Has the kernel send again every request that was read but not answered (7.40, Linux 6.9), with
   * bit 63 of its id set. Only sensible when nobody is working on them any more.
   * @returns -EINVAL where the kernel does not know this
   */
  resend(): number {
    return this.#send(begin(NotifyCode.RESEND, 0));
  }

  /** Has every cached name looked up anew (7.44). */
  incEpoch(): number {
    return this.#send(begin(NotifyCode.INC_EPOCH, 0));
  }

  #send(message: Buffer): number {
    return this.#channel.write(message, message.length);
  }
}

/** A notification's header: unique 0, and the code where an answer has its error. */
function begin(code: number, payloadBytes: number): Buffer {
  const message = Buffer.alloc(Size.OUT_HEADER + payloadBytes);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(code, 4);
  return message;
}
