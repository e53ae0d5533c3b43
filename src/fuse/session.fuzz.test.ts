/**
 * Random and mutated messages through decoder and dispatcher: nothing is thrown, every request gets
 * one answer at most, and every answer is one that the kernel would take.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryChannel } from "./memory_channel.ts";
import { Session } from "./session.ts";
import { checkAnswers, thoroughOperations } from "./testing.ts";
import { Opcode } from "./wire/abi.ts";

const word32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 4096, 131072, 0x7fffffff, 0x80000000, 0xffffffff),
);
const opcode = fc.oneof(fc.constantFrom(...Object.values(Opcode)), word32);

/** A plausible header and anything after it: words, names, garbage. */
const likely = fc
  .record({
    opcode,
    uniqueLow: word32,
    uniqueHigh: word32,
    nodeId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    extensions: fc.constantFrom(0, 0, 0, 1, 0xffff),
    body: fc.array(
      fc.oneof(
        word32.map((value) => {
          const bytes = Buffer.alloc(4);
          bytes.writeUInt32LE(value);
          return bytes;
        }),
        fc.string({ maxLength: 12 }).map((name) => Buffer.from(`${name}\0`)),
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      ),
      { maxLength: 24 },
    ),
  })
  .map((fields) => {
    const body = Buffer.concat(fields.body);
    const message = Buffer.alloc(40 + body.length);
    message.writeUInt32LE(message.length, 0);
    message.writeUInt32LE(fields.opcode, 4);
    message.writeUInt32LE(fields.uniqueLow, 8);
    message.writeUInt32LE(fields.uniqueHigh, 12);
    message.writeBigUInt64LE(fields.nodeId, 16);
    message.writeUInt16LE(fields.extensions, 36);
    body.copy(message, 40);
    return message;
  });

const anything = fc.oneof(
  { weight: 6, arbitrary: likely },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
);

test("any message: at most one well-formed answer, and service goes on", () => {
  const channel = new MemoryChannel();
  const slot = new Int32Array(16);
  const session = new Session(channel, thoroughOperations, { watch: slot });
  fc.assert(
    fc.property(anything, (message) => {
      channel.requests.push(message);
      channel.answers.length = 0;
      const alive = session.serveOne();
      assert.equal(alive, message.length >= 40, "only a message without header is passed over");
      checkAnswers(message, channel.answers);
      assert.equal((slot[0] ?? 1) & 1, 0, "nothing is left marked as running");
    }),
    { numRuns: 20_000, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
  assert.ok(session.counts.requests > 1000);
});
