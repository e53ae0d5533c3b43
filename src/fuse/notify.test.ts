import assert from "node:assert/strict";
import { test } from "node:test";
import { replyData, replyError } from "./answer.ts";
import { MemoryChannel } from "./memory_channel.ts";
import { Notifier } from "./notify.ts";
import { hex } from "./wire/hex.ts";

const channel = new MemoryChannel();
const notifier = new Notifier(channel);

function sent(): string | undefined {
  return channel.answers.pop()?.toString("hex");
}

/** A notification's header has the code for an error and 0 for an id. */
test("each notification, byte by byte", () => {
  assert.equal(notifier.poll(0x1_0000_000b), 0);
  assert.equal(
    sent(),
    hex("18000000 01000000 0000000000000000 0b00000001000000 # kh").toString("hex"),
  );
  notifier.invalInode(9n, -1, 0);
  assert.equal(
    sent(),
    hex(`
      28000000 02000000 0000000000000000
      0900000000000000 # ino
      ffffffffffffffff # off -1: attributes only
      0000000000000000 # len
    `).toString("hex"),
  );
  notifier.invalEntry(1, "ab", true);
  assert.equal(
    sent(),
    hex(`
      23000000 03000000 0000000000000000
      0100000000000000 # parent
      02000000         # namelen
      01000000         # flags EXPIRE_ONLY
      6162 00          # name
    `).toString("hex"),
  );
  notifier.store(9, 4096, Buffer.from("xyz"));
  assert.equal(
    sent(),
    hex(`
      2b000000 04000000 0000000000000000
      0900000000000000 # nodeid
      0010000000000000 # offset
      03000000         # size
      00000000         # padding
      78797a           # data
    `).toString("hex"),
  );
  notifier.retrieve(9, 4096, 100);
  assert.equal(
    sent(),
    hex(`
      30000000 05000000 0000000000000000
      0000000000000000 # notify_unique
      0900000000000000 # nodeid
      0010000000000000 # offset
      64000000         # size
      00000000         # padding
    `).toString("hex"),
  );
  notifier.delete(1, 9, "ab");
  assert.equal(
    sent(),
    hex(`
      2b000000 06000000 0000000000000000
      0100000000000000 # parent
      0900000000000000 # child
      02000000         # namelen
      00000000         # padding
      6162 00          # name
    `).toString("hex"),
  );
  notifier.resend();
  assert.equal(sent(), hex("10000000 07000000 0000000000000000").toString("hex"));
  notifier.incEpoch();
  assert.equal(sent(), hex("10000000 08000000 0000000000000000").toString("hex"));
});

test("answers from outside a session", () => {
  const id = { uniqueLow: 4, uniqueHigh: 0x80000001 };
  assert.equal(replyError(channel, id, -110), true);
  assert.equal(sent(), hex("10000000 92ffffff 0400000001000080").toString("hex"));
  assert.equal(replyData(channel, id, Buffer.from("ok")), true);
  assert.equal(sent(), hex("12000000 00000000 0400000001000080 6f6b").toString("hex"));
  channel.refuse = -2;
  assert.equal(replyError(channel, id, -110), false);
});
