/** For tests: operations that look at all of a request, and what the kernel demands of an answer. */
import assert from "node:assert/strict";
import { errno } from "../sys/errno.ts";
import type { Operations } from "./operations.ts";
import { Opcode } from "./wire/abi.ts";

const ATTRIBUTES = { ino: 2, mode: 0o100444 };

/** What `mkdir` throws: an operation's failure that has no errno. */
export class MeantFailure extends Error {}

/** Operations that use everything of their request that there is. */
export const thoroughOperations: Operations = {
  lookup: (request, reply) =>
    request.name.length > 3 ? reply.entry(2, ATTRIBUTES) : -errno.ENOENT,
  forget: ({ nodeId, nlookup }) => assert.ok(nodeId >= 0 && nlookup >= 0),
  getattr: (request, reply) => reply.attributes({ ...ATTRIBUTES, size: request.fh }),
  setattr: (request, reply) =>
    reply.attributes({ ino: 2, mode: request.mode, mtimeSeconds: request.mtimeSeconds }),
  open: (request, reply) => reply.opened(request.flags),
  read({ size }, reply) {
    const bytes = Math.min(size, reply.data.length);
    reply.data.fill(1, 0, bytes);
    return bytes;
  },
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
    throw new MeantFailure(request.name);
  },
  create: (request, reply) => reply.created(2, { ino: 2, mode: request.mode }, request.flags),
  setxattr: (request) => (request.data().length === request.size ? 0 : assert.fail()),
  poll: (request, reply) => reply.polled(request.events),
  lseek: (request, reply) => reply.sought(request.offset),
  interrupt: (low, high) => assert.ok(low >= 0 && high >= 0),
};

/** Bytes of a message's header: a shorter message cannot be answered. */
const HEADER_BYTES = 40;

/** @throws AssertionError if the kernel would not take these as the answers to `message` */
export function checkAnswers(message: Buffer, answers: readonly Buffer[]): void {
  const opcode = message.length < HEADER_BYTES ? Opcode.FORGET : message.readUInt32LE(4);
  const silent = [Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.NOTIFY_REPLY].some(
    (unanswered) => unanswered === opcode,
  );
  if (silent) assert.equal(answers.length, 0);
  else if (opcode === Opcode.INTERRUPT) assert.ok(answers.length <= 1);
  else assert.equal(answers.length, 1);
  for (const answer of answers) checkAnswer(message, answer);
}

function checkAnswer(message: Buffer, answer: Buffer): void {
  assert.ok(answer.length >= 16);
  assert.equal(answer.readUInt32LE(0), answer.length, "the length it says is its length");
  const error = answer.readInt32LE(4);
  assert.ok(error <= 0 && error > -512, `error ${error}`);
  if (error !== 0) assert.equal(answer.length, 16, "an error has no payload");
  assert.deepEqual(answer.subarray(8, 16), message.subarray(8, 16), "unique");
}
