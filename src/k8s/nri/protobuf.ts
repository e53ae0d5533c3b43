/**
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), as far as the messages of NRI
 * and ttRPC need it. They are few and small: a schema compiler and its run time would be many times
 * the size of this.
 *
 *   message Request { string service = 1; }    { service: "a" }  ->  0a 01 61
 *   key 0a = field 1, wire type 2 (length-delimited); length 01; bytes 61
 */

/** Bytes that are no protobuf message. */
export class ProtobufError extends Error {
  constructor(found: string) {
    super(`Cannot read protobuf message: ${found}`);
    this.name = "ProtobufError";
  }
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** One field: its number, and its value as the wire carries it. */
export interface Field {
  number: number;
  /** Of varints; signed 64-bit ones are negative where they should be. */
  integer: number;
  /** Of strings, bytes, messages. Empty for other types. */
  bytes: Buffer;
}

/** The fields of a message in their order. @throws ProtobufError */
export function* fields(message: Buffer): Generator<Field> {
  const cursor = { message, at: 0 };
  while (cursor.at < message.length) {
    const key = varint(cursor);
    const number = Number(key >> 3n);
    if (number < 1) throw new ProtobufError(`field number ${number}`);
    const none = { number, integer: 0, bytes: Buffer.alloc(0) };
    switch (Number(key & 7n)) {
      case VARINT:
        yield { ...none, integer: Number(BigInt.asIntN(64, varint(cursor))) };
        break;
      case BYTES:
        yield { ...none, bytes: take(cursor, Number(varint(cursor))) };
        break;
      case FIXED64:
        take(cursor, 8);
        yield none;
        break;
      case FIXED32:
        take(cursor, 4);
        yield none;
        break;
      default:
        throw new ProtobufError(`wire type ${key & 7n} of field ${number}`);
    }
  }
}

interface Cursor {
  message: Buffer;
  at: number;
}

function varint(cursor: Cursor): bigint {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = cursor.message[cursor.at++];
    if (byte === undefined) throw new ProtobufError("it ends within a number");
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw new ProtobufError("a number of more than 64 bits");
}

function take(cursor: Cursor, length: number): Buffer {
  const end = cursor.at + length;
  if (end > cursor.message.length) throw new ProtobufError("it ends within a field");
  const taken = cursor.message.subarray(cursor.at, end);
  cursor.at = end;
  return taken;
}

/** Puts a message together. Empty values are left out, as proto3 does. */
export class MessageWriter {
  readonly #parts: Buffer[] = [];

  string(number: number, value: string): this {
    return this.bytes(number, Buffer.from(value));
  }

  bytes(number: number, value: Buffer): this {
    if (value.length > 0) this.message(number, value);
    return this;
  }

  /** A message within the message: present even when it is empty. */
  message(number: number, value: Buffer): this {
    this.#varint((number << 3) | BYTES);
    this.#varint(value.length);
    this.#parts.push(value);
    return this;
  }

  integer(number: number, value: number): this {
    if (value === 0) return this;
    this.#varint((number << 3) | VARINT);
    this.#varint(value);
    return this;
  }

  bool(number: number, value: boolean): this {
    return this.integer(number, value ? 1 : 0);
  }

  /** `map<string, string>`: a message of key and value for each entry. */
  map(number: number, entries: Readonly<Record<string, string>>): this {
    for (const [key, value] of Object.entries(entries))
      this.message(number, new MessageWriter().string(1, key).string(2, value).finish());
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #varint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    while (rest >= 0x80n) {
      bytes.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    bytes.push(Number(rest));
    this.#parts.push(Buffer.from(bytes));
  }
}
