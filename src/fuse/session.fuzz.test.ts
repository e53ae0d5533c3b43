/**
 * Random and mutated messages through decoder and dispatcher: nothing is thrown, every request gets
 * one answer at most, and every answer is one that the kernel would take.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { errno } from "../sys/errno.ts";
import { MemoryChannel } from "./memory_channel.ts";
import type { Operations } from "./operations.ts";
import { Session } from "./session.ts";
import { Opcode } from "./wire/abi.ts";

const ATTRIBUTES = { ino: 2, mode: 0o100444 };

/** Operations that use everything of their request that there is. */
const operations: Operations = {
  lookup: (request, reply) =>
    request.name.length > 3 ? reply.entry(2, ATTRIBUTES) : -errno.ENOENT,
  forget: ({ nodeId, nlookup }) => assert.ok(nodeId >= 0 && nlookup >= 0),
  getattr: (request, reply) => reply.attributes({ ...ATTRIBUTES, size: request.fh }),
  setattr: (request, reply) =>
    reply.attributes({ ino: 2, mode: request.mode, mtimeSeconds: request.mtimeSeconds }),
  open: (request, reply) => reply.opened(request.flags),
  read: ({ size }, reply) => reply.data.fill(1, 0, size).length && size,
  write: (request, reply) => reply.written(request.data().length),
  readdir(request, reply) {
    while (reply.dirent(2, "name", 0o100444, request.offset + 1)) continue;
    return reply.length;
  },
  readdirplus(request, reply) {
    while (reply.direntPlus(2, "name", ATTRIBUTES, request.offset + 1)) continue;
    return reply.length;
  },
  rename: (request) => (request.name === request.newName ? -errno.EINVAL : 0),
  symlink: (request, reply) => reply.entry(request.newName.length, ATTRIBUTES),
  mkdir(request) {
    throw new Error(request.name);
  },
  create: (request, reply) => reply.created(2, { ino: 2, mode: request.mode }, request.flags),
  setxattr: (request) => (request.data().length === request.size ? 0 : assert.fail()),
  poll: (request, reply) => reply.polled(request.events),
  lseek: (request, reply) => reply.sought(request.offset),
  interrupt: (low, high) => assert.ok(low >= 0 && high >= 0),
};

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

function checkAnswer(answer: Buffer, request: Buffer): void {
  assert.ok(answer.length >= 16);
  assert.equal(answer.readUInt32LE(0), answer.length, "the length it says is its length");
  const error = answer.readInt32LE(4);
  assert.ok(error <= 0 && error > -512, `error ${error}`);
  if (error !== 0) assert.equal(answer.length, 16, "an error has no payload");
  assert.deepEqual(answer.subarray(8, 16), request.subarray(8, 16), "unique");
}

test("any message: at most one well-formed answer, and service goes on", () => {
  const channel = new MemoryChannel();
  const slot = new Int32Array(16);
  const session = new Session(channel, operations, { watch: slot });
  fc.assert(
    fc.property(anything, (message) => {
      channel.requests.push(message);
      channel.answers.length = 0;
      const alive = session.serveOne();
      assert.equal(alive, message.length >= 40, "only a message without header is passed over");
      const silent =
        message.length < 40 ||
        [Opcode.FORGET, Opcode.BATCH_FORGET].includes(message.readUInt32LE(4) as 2 | 42);
      if (silent) assert.equal(channel.answers.length, 0);
      else if (message.readUInt32LE(4) === Opcode.INTERRUPT) assert.ok(channel.answers.length <= 1);
      else assert.equal(channel.answers.length, 1);
      for (const answer of channel.answers) checkAnswer(answer, message);
      assert.equal((slot[0] ?? 1) & 1, 0, "nothing is left marked as running");
    }),
    { numRuns: 20_000, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
  );
  assert.ok(session.counts.requests > 1000);
});
