import assert from "node:assert/strict";
import { test } from "node:test";
import { hex } from "./hex.ts";
import { FOREVER_SECONDS, Reply } from "./reply.ts";

/** The whole message for unique 0x80000002deadbeef. */
function message(reply: Reply, payloadBytes: number, error = 0): string {
  const length = reply.header(0xdeadbeef, 0x80000002, error, payloadBytes);
  return reply.buffer.subarray(0, length).toString("hex");
}

/** A reply whose buffer is full of old bytes: what a writer forgets to write shows. */
function dirtyReply(payloadBytes = 4096): Reply {
  const reply = new Reply(payloadBytes);
  reply.buffer.fill(0xee);
  reply.begin(payloadBytes);
  return reply;
}

const ATTRIBUTES = {
  ino: 0x1_0000_0007,
  mode: 0o100444,
  size: 5,
  blocks: 1,
  nlink: 2,
  uid: 1000,
  gid: 1001,
  rdev: 0x801,
  blksize: 512,
  atimeSeconds: 1.5,
  mtimeSeconds: 2.25,
  ctimeSeconds: 3,
};

const ATTRIBUTES_HEX = `
  0700000001000000 # ino
  0500000000000000 # size
  0100000000000000 # blocks
  0100000000000000 # atime
  0200000000000000 # mtime
  0300000000000000 # ctime
  0065cd1d         # atimensec 500000000
  80b2e60e         # mtimensec 250000000
  00000000         # ctimensec
  24810000         # mode 0100444
  02000000         # nlink
  e8030000         # uid
  e9030000         # gid
  01080000         # rdev
  00020000         # blksize
  00000000         # flags
`;

test("an error is a header alone", () => {
  const expected = hex(`
    10000000         # len 16
    feffffff         # error -ENOENT
    efbeadde02000080 # unique
  `);
  assert.equal(message(dirtyReply(), 0, -2), expected.toString("hex"));
});

test("entry", () => {
  const reply = dirtyReply();
  const expected = hex(`
    90000000         # len 144
    00000000         # error
    efbeadde02000080 # unique
    0900000000000000 # nodeid
    0400000000000000 # generation
    0000008000000000 # entry_valid 2^31 s
    0000000000000000 # attr_valid
    00000000         # entry_valid_nsec
    80b2e60e         # attr_valid_nsec 250000000
    ${ATTRIBUTES_HEX}
  `);
  assert.equal(
    message(reply, reply.entry(9, ATTRIBUTES, FOREVER_SECONDS, 0.25, 4)),
    expected.toString("hex"),
  );
});

test("attributes, with what is absent", () => {
  const reply = dirtyReply();
  const expected = hex(`
    78000000         # len 120
    00000000         # error
    efbeadde02000080 # unique
    0100000000000000 # attr_valid
    00000000         # attr_valid_nsec
    00000000         # dummy
    0100000000000000 # ino
    0000000000000000 # size
    0000000000000000 # blocks
    0000000000000000 # atime
    0000000000000000 # mtime
    0000000000000000 # ctime
    00000000 00000000 00000000 # nanoseconds
    6d410000         # mode 040555
    01000000         # nlink 1
    00000000         # uid
    00000000         # gid
    00000000         # rdev
    00100000         # blksize 4096
    00000000         # flags
  `);
  assert.equal(
    message(reply, reply.attributes({ ino: 1, mode: 0o40555 })),
    expected.toString("hex"),
  );
});

test("an absent name to be remembered", () => {
  const reply = dirtyReply();
  const expected = hex(`
    90000000 00000000 efbeadde02000080
    0000000000000000 # nodeid 0: there is none
    0000000000000000 # generation
    0200000000000000 # entry_valid 2 s
    0000000000000000 # attr_valid
    0065cd1d         # entry_valid_nsec 500000000
    00000000         # attr_valid_nsec
    ${"00".repeat(88)} # attr
  `);
  assert.equal(message(reply, reply.noEntry(2.5)), expected.toString("hex"));
});

test("opened, created, written, polled, sought", () => {
  const reply = dirtyReply();
  const open = `
    0300000001000000 # fh 0x100000003
    01000000         # open_flags DIRECT_IO
    00000000         # backing_id
  `;
  assert.equal(
    message(reply, reply.opened(0x1_0000_0003, 1)),
    hex(`20000000 00000000 efbeadde02000080 ${open}`).toString("hex"),
  );
  assert.equal(
    message(reply, reply.created(9, ATTRIBUTES, 0x1_0000_0003, 1, 1, 2)),
    hex(`
      a0000000 00000000 efbeadde02000080
      0900000000000000  # nodeid
      0000000000000000  # generation
      0100000000000000  # entry_valid
      0200000000000000  # attr_valid
      00000000 00000000 # nanoseconds
      ${ATTRIBUTES_HEX}
      ${open}
    `).toString("hex"),
  );
  const word = (value: string): string =>
    hex(`18000000 00000000 efbeadde02000080 ${value}`).toString("hex");
  assert.equal(message(reply, reply.written(7)), word("07000000 00000000 # size, padding"));
  assert.equal(message(reply, reply.polled(0x43)), word("43000000 00000000 # revents, padding"));
  assert.equal(message(reply, reply.xattrSize(9)), word("09000000 00000000 # size, padding"));
  assert.equal(message(reply, reply.sought(0x1_0000_0000)), word("0000000001000000 # offset"));
});

test("statfs", () => {
  const reply = dirtyReply();
  const expected = hex(`
    60000000 00000000 efbeadde02000080
    0100000000000000  # blocks
    0200000000000000  # bfree
    0300000000000000  # bavail
    0400000000000000  # files
    0500000000000000  # ffree
    00100000          # bsize
    ff000000          # namelen
    00020000          # frsize
    ${"00".repeat(28)} # padding, spare
  `);
  const figures = { blocks: 1, bfree: 2, bavail: 3, files: 4, ffree: 5 };
  assert.equal(
    message(reply, reply.statfs({ ...figures, bsize: 4096, namelen: 255, frsize: 512 })),
    expected.toString("hex"),
  );
});

test("directory entries: padded to eight bytes, types from modes, and what does not fit", () => {
  const reply = dirtyReply();
  reply.begin(80);
  assert.equal(reply.dirent(7, "a", 0o40555, 1), true); // 32 bytes
  assert.equal(reply.dirent(8, "eight888", 0o100444, 2), true); // 32 bytes
  assert.equal(reply.dirent(9, "c", 0, 3), false); // another 32 would be 96
  const expected = hex(`
    50000000 00000000 efbeadde02000080
    0700000000000000    # ino
    0100000000000000    # off
    01000000            # namelen
    04000000            # type DT_DIR
    61 00000000000000   # "a", padding
    0800000000000000    # ino
    0200000000000000    # off
    08000000            # namelen
    08000000            # type DT_REG
    6569676874383838    # "eight888"
  `);
  assert.equal(message(reply, reply.length), expected.toString("hex"));
});

test("directory entries with attributes, names as UTF-8", () => {
  const reply = dirtyReply();
  reply.begin(160);
  assert.equal(reply.direntPlus(7, "\u00e4", ATTRIBUTES, 1, 1, 2), true); // 128 + 32 bytes
  assert.equal(reply.direntPlus(8, "b", ATTRIBUTES, 2), false);
  const expected = hex(`
    b0000000 00000000 efbeadde02000080
    0700000000000000  # nodeid
    0000000000000000  # generation
    0100000000000000  # entry_valid
    0200000000000000  # attr_valid
    00000000 00000000 # nanoseconds
    ${ATTRIBUTES_HEX}
    0700000001000000  # ino
    0100000000000000  # off
    02000000          # namelen
    08000000          # type DT_REG
    c3a4 000000000000 # name, padding
  `);
  assert.equal(message(reply, reply.length), expected.toString("hex"));
});

test("lifetimes without end and times before 1970", () => {
  const reply = dirtyReply();
  reply.attributes({ ino: 1, mode: 0, mtimeSeconds: -0.5 }, Infinity);
  assert.ok(reply.data.readBigUInt64LE(0) >= 2n ** 31n);
  assert.equal(reply.data.readBigInt64LE(16 + 32), -1n);
  assert.equal(reply.data.readUInt32LE(16 + 52), 500_000_000);
});

test("a slice of a file's contents", () => {
  for (const contents of [Buffer.from("0123456789"), new Uint8Array(Buffer.from("0123456789"))]) {
    const reply = dirtyReply();
    const read = (offset: number, size: number): string =>
      reply.data.toString("latin1", 0, reply.slice(contents, offset, size));
    assert.equal(read(0, 4096), "0123456789");
    assert.equal(read(0, 3), "012");
    assert.equal(read(8, 3), "89");
    assert.equal(read(9, 1), "9");
    assert.equal(read(10, 1), "");
    assert.equal(read(4000, 9), "");
    assert.equal(read(3, 0), "");
  }
});
