/** Changes of conversations, chosen by a generator whose seed repeats them. */
import { Opcode } from "../../src/fuse/wire/abi.ts";
import { inputOf, messagesOf } from "./messages.ts";

/** mulberry32: 32 bits of state, good enough to choose by. @returns numbers from 0 up to 1 */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lengths, offsets and counts at which programs err. */
const INTERESTING = [0, 1, 7, 8, 40, 4095, 4096, 65_535, 131_072, 0x7fffffff, 0x80000000];
const OPCODES = Object.values(Opcode);
const MAX_MESSAGES = 24;
const MAX_MESSAGE_BYTES = 4096;
const OPCODE_AT = 4;
const NODE_AT = 16;
const HEADER_BYTES = 40;

export class Mutator {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  /** A changed copy of one of `corpus`, with pieces of others. */
  next(corpus: readonly Buffer[]): Buffer {
    let messages: Buffer[] = [...messagesOf(this.#pick(corpus))].map((message) =>
      Buffer.from(message),
    );
    for (let changes = 1 + this.below(4); changes > 0; changes--) {
      messages = this.#change(messages, corpus);
    }
    return inputOf(messages.slice(0, MAX_MESSAGES));
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  #change(messages: Buffer[], corpus: readonly Buffer[]): Buffer[] {
    const other = [...messagesOf(this.#pick(corpus))];
    const at = this.below(messages.length + 1);
    const chosen = messages[at];
    if (chosen === undefined || chosen.length === 0 || this.below(5) === 0) {
      switch (this.below(3)) {
        case 0:
          return messages.toSpliced(at, 0, ...(other.length > 0 ? [this.#pick(other)] : []));
        case 1:
          return messages.toSpliced(at, 1);
        default:
          return [...messages.slice(0, at), ...other.slice(this.below(other.length))];
      }
    }
    return messages.with(at, this.#changeMessage(chosen, other));
  }

  #changeMessage(message: Buffer, others: readonly Buffer[]): Buffer {
    const word = this.below(Math.max(1, message.length >> 2)) << 2;
    const bytes = Buffer.from(message);
    switch (this.below(9)) {
      case 0:
        bytes[this.below(bytes.length)] = this.below(256);
        return bytes;
      case 1:
        return this.#setWord(bytes, word, this.#pick(INTERESTING));
      case 2:
        return this.#setWord(bytes, OPCODE_AT, this.#pick(OPCODES));
      case 3:
        return bytes.subarray(0, this.below(bytes.length + 1));
      case 4: {
        const more = Buffer.alloc(this.below(64), this.below(256));
        return Buffer.concat([bytes, more]).subarray(0, MAX_MESSAGE_BYTES);
      }
      case 5: {
        // Another message's node, or all that follows its header.
        const other = others.length > 0 ? this.#pick(others) : bytes;
        if (other.length < HEADER_BYTES || bytes.length < HEADER_BYTES) return bytes;
        other.copy(bytes, NODE_AT, NODE_AT, NODE_AT + 8);
        return this.below(2) === 0
          ? bytes
          : Buffer.concat([bytes.subarray(0, HEADER_BYTES), other.subarray(HEADER_BYTES)]);
      }
      case 6:
        return this.#setWord(bytes, word, this.below(2 ** 32));
      case 7: {
        const old = word + 4 <= bytes.length ? bytes.readUInt32LE(word) : 0;
        return this.#setWord(bytes, word, old + this.below(17) - 8);
      }
      default: {
        const from = this.below(bytes.length);
        return Buffer.concat([bytes, bytes.subarray(from)]).subarray(0, MAX_MESSAGE_BYTES);
      }
    }
  }

  #setWord(bytes: Buffer, at: number, value: number): Buffer {
    if (at + 4 <= bytes.length) bytes.writeUInt32LE(value >>> 0, at);
    return bytes;
  }
}
