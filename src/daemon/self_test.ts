/**
 * Reads `/proc/meminfo` through the filesystem as the kernel would, but in memory: a version that
 * cannot do that must not relieve one that can.
 */
import type { Channel } from "../fuse/channel.ts";
import type { Operations } from "../fuse/operations.ts";
import { Session } from "../fuse/session.ts";
import { FUSE_MIN_READ_BUFFER, FUSE_ROOT_ID, Opcode, READ_FLAG, Size } from "../fuse/wire/abi.ts";
import type { Negotiated } from "../fuse/wire/init.ts";
import { Request } from "../fuse/wire/request.ts";
import { errnoName } from "../sys/errno.ts";

const READ_BYTES = 4096;
const PATH = ["proc", "meminfo"];

/** @throws Error saying which step failed, and how */
export function selfTest(operations: Operations): void {
  const asker = new Asker(operations);
  let node = FUSE_ROOT_ID;
  for (const name of PATH) {
    // fuse_entry_out begins with the node id.
    node = Number(asker.ask(Opcode.LOOKUP, node, Buffer.from(`${name}\0`)).readBigUInt64LE(0));
  }
  let handle = 0n;
  if (operations.open) {
    // fuse_open_in: flags, open_flags. fuse_open_out begins with the handle.
    handle = asker.ask(Opcode.OPEN, node, Buffer.alloc(8)).readBigUInt64LE(0);
  }
  // fuse_read_in: fh, offset, size, read_flags, lock_owner, flags, padding
  const read = Buffer.alloc(40);
  read.writeBigUInt64LE(handle, 0);
  read.writeUInt32LE(READ_BYTES, 16);
  read.writeUInt32LE(READ_FLAG.LOCKOWNER, 20);
  const text = asker.ask(Opcode.READ, node, read).toString("latin1");
  if (!text.startsWith("MemTotal:")) {
    throw new Error(
      `Self-test failed: /proc/meminfo begins with ${JSON.stringify(text.slice(0, 40))}`,
    );
  }
  if (operations.release) {
    // fuse_release_in: fh, flags, release_flags, lock_owner
    asker.ask(Opcode.RELEASE, node, read.subarray(0, 24));
  }
}

/** Puts single requests to a session. */
class Asker implements Channel {
  readonly #session: Session;
  readonly #request = new Request(FUSE_MIN_READ_BUFFER);
  #answer: Buffer = Buffer.alloc(0);
  #thrown: unknown;

  constructor(operations: Operations) {
    // The session needs to know that INIT is over, and nothing of what it said.
    this.#session = new Session(this, operations, {
      negotiated: { ...NEGOTIATED },
      onError: (error) => (this.#thrown = error),
    });
  }

  /** @returns the answer without its header */
  ask(opcode: number, nodeId: number, body: Buffer): Buffer {
    const { buffer } = this.#request;
    const length = Size.IN_HEADER + body.length;
    buffer.fill(0, 0, Size.IN_HEADER);
    buffer.writeUInt32LE(length, 0);
    buffer.writeUInt32LE(opcode, 4);
    buffer.writeUInt32LE(2, 8); // unique
    buffer.writeBigUInt64LE(BigInt(nodeId), 16);
    buffer.writeUInt32LE(process.pid, 32);
    body.copy(buffer, Size.IN_HEADER);
    this.#request.lengthBytes = length;
    this.#request.decodeHeader();
    this.#session.dispatch(this.#request);
    const error = this.#answer.readInt32LE(4);
    if (error < 0) {
      const said = errnoName(-error);
      throw new Error(`Self-test failed: opcode ${opcode} answers ${said}`, {
        cause: this.#thrown,
      });
    }
    return this.#answer.subarray(Size.OUT_HEADER);
  }

  read(): number {
    return 0;
  }

  write(buffer: Buffer, lengthBytes: number): number {
    this.#answer = Buffer.from(buffer.subarray(0, lengthBytes));
    return 0;
  }
}

const NEGOTIATED: Negotiated = {
  major: 7,
  minor: 31,
  offered: 0,
  flags: 0,
  maxReadaheadBytes: 0,
  maxWriteBytes: READ_BYTES,
  maxPages: 16,
  maxBackground: 0,
  congestionThreshold: 0,
  timeGranularityNs: 1,
  requestTimeoutSeconds: 0,
};
