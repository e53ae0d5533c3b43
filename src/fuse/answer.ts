/** Answers a request from outside the session that took it: for a watchdog, or after a restart. */
import type { Channel } from "./channel.ts";
import { Size } from "./wire/abi.ts";

/** Which request is meant: its unique id in two words, bit 63 included. */
export interface RequestId {
  readonly uniqueLow: number;
  readonly uniqueHigh: number;
}

/**
 * Writes the header of an answer whose payload stands in `buffer` from byte 16 on.
 * @param error 0 or a negative errno
 * @returns the message's length in bytes
 */
export function encodeReplyInto(
  buffer: Buffer,
  id: RequestId,
  error: number,
  payloadBytes: number,
): number {
  const lengthBytes = Size.OUT_HEADER + payloadBytes;
  buffer.writeUInt32LE(lengthBytes, 0);
  buffer.writeInt32LE(error, 4);
  buffer.writeUInt32LE(id.uniqueLow, 8);
  buffer.writeUInt32LE(id.uniqueHigh, 12);
  return lengthBytes;
}

/**
 * Ends a request with an error.
 * @param error a negative errno
 * @returns whether the kernel took it; false if the request had been answered or given up before
 */
export function replyError(channel: Channel, id: RequestId, error: number): boolean {
  const buffer = Buffer.alloc(Size.OUT_HEADER);
  return channel.write(buffer, encodeReplyInto(buffer, id, error, 0)) === 0;
}

/** Ends a request with `payload`. @returns as `replyError` */
export function replyData(channel: Channel, id: RequestId, payload: Uint8Array): boolean {
  const buffer = Buffer.alloc(Size.OUT_HEADER + payload.length);
  buffer.set(payload, Size.OUT_HEADER);
  return channel.write(buffer, encodeReplyInto(buffer, id, 0, payload.length)) === 0;
}
