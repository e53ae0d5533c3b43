/**
 * Reads fields of a kernel structure one after the other and cannot run past the message's end.
 * Byte order is the machine's own, which on every machine this runs on is little-endian.
 */

/** A message ends before the structure its opcode promises. */
export class MessageTooShort extends Error {
  constructor(neededBytes: number, endBytes: number) {
    super(`Cannot decode message: needs ${neededBytes} bytes, got ${endBytes}`);
    this.name = "MessageTooShort";
  }
}

/** A position between the start and the end of one message within a buffer. */
export class Cursor {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  #at = 0;
  #end = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  /** Starts at `startBytes` of a message that ends at `endBytes` (never beyond the buffer). */
  reset(startBytes: number, endBytes: number): void {
    this.#at = startBytes;
    this.#end = Math.min(endBytes, this.#buffer.length);
  }

  /** Offset of the next field from the start of the buffer. */
  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Steps over `bytes` and returns where they began. */
  skip(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.#end) throw new MessageTooShort(start + bytes, this.#end);
    this.#at = start + bytes;
    return start;
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** A 64-bit field as a plain number: exact below 2^53, rounded above. */
  u64(): number {
    const at = this.skip(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 0x100000000;
  }

  /**
   * Steps over a NUL-terminated name and returns its length in bytes without the NUL; the name
   * begins where the cursor was. A name without its NUL is a message too short.
   */
  name(): number {
    const start = this.#at;
    // Names are short: a loop is cheaper here than a call into native code.
    for (let at = start; at < this.#end; at++) {
      if (this.#buffer[at] !== 0) continue;
      this.#at = at + 1;
      return at - start;
    }
    throw new MessageTooShort(this.#end + 1, this.#end);
  }
}
