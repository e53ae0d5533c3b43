/** What a fuzzer's bytes mean: a conversation, each message after its length (16 bits). */

const LENGTH_BYTES = 2;

export function* messagesOf(input: Buffer): Generator<Buffer> {
  for (let at = 0; at + LENGTH_BYTES <= input.length;) {
    const start = at + LENGTH_BYTES;
    at = Math.min(input.length, start + input.readUInt16LE(at));
    yield input.subarray(start, at);
  }
}

export function inputOf(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt16LE(message.length);
      return [length, message];
    }),
  );
}
