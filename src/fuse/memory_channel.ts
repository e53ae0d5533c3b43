/** For tests: a channel whose requests are given and whose answers are kept. */
import type { Channel } from "./channel.ts";

export class MemoryChannel implements Channel {
  /** Still to be read. */
  readonly requests: Buffer[] = [];
  /** What was written, whole messages. */
  readonly answers: Buffer[] = [];
  /** What `write` returns. */
  refuse = 0;

  read(buffer: Buffer): number {
    return this.requests.shift()?.copy(buffer) ?? 0;
  }

  write(buffer: Buffer, lengthBytes: number): number {
    this.answers.push(Buffer.from(buffer.subarray(0, lengthBytes)));
    return this.refuse;
  }
}
