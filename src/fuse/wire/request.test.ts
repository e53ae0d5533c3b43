import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageTooShort } from "./cursor.ts";
import { hex } from "./hex.ts";
import { ForeignId, Request } from "./request.ts";

function load(message: Buffer): Request {
  const request = new Request(8192);
  message.copy(request.buffer);
  request.lengthBytes = message.length;
  return request;
}

function decode(message: Buffer): Request {
  const request = load(message);
  assert.ok(request.decodeHeader());
  request.decodeBody();
  return request;
}

/** Every cut of a message is refused, none is decoded with bytes that are not its own. */
function assertEveryCutTooShort(message: Buffer): void {
  for (let length = 0; length < message.length; length++) {
    const request = load(message);
    request.lengthBytes = length;
    if (length < 40) assert.equal(request.decodeHeader(), false, `header of ${length} bytes`);
    else {
      assert.ok(request.decodeHeader());
      assert.throws(() => request.decodeBody(), MessageTooShort, `body cut to ${length} bytes`);
    }
  }
}

const LOOKUP = hex(`
  30000000          # len 48
  01000000          # opcode LOOKUP
  efbeadde 01000080 # unique 0x80000001deadbeef: resent
  0df0ad0b 07000000 # nodeid 0x70badf00d
  e8030000          # uid 1000
  e9030000          # gid 1001
  39300000          # pid 12345
  0000 0000         # total_extlen, padding
  6d656d696e666f 00 # "meminfo"
`);

test("LOOKUP: header and name", () => {
  const request = decode(LOOKUP);
  assert.equal(request.opcode, 1);
  assert.equal(request.uniqueLow, 0xdeadbeef);
  assert.equal(request.uniqueHigh, 0x80000001);
  assert.equal(request.resent, true);
  assert.equal(request.nodeId, 0x7_0badf00d);
  assert.deepEqual([request.nodeLow, request.nodeHigh], [0x0badf00d, 7]);
  assert.equal(request.uid, 1000);
  assert.equal(request.gid, 1001);
  assert.equal(request.pid, 12345);
  assert.equal(request.name, "meminfo");
  assert.deepEqual(request.nameBytes(), Buffer.from("meminfo"));
  assertEveryCutTooShort(LOOKUP);
});

const HEADER = (lengthHex: string, opcodeHex: string): string => `
  ${lengthHex}       # len
  ${opcodeHex}       # opcode
  0200000000000000   # unique 2
  0500000000000000   # nodeid 5
  00000000 00000000  # uid, gid
  07000000           # pid 7
  0000 0000          # total_extlen, padding
`;

test("READ", () => {
  const message = hex(`
    ${HEADER("50000000", "0f000000")}
    0100000001000000 # fh 0x100000001
    0010000000000000 # offset 4096
    00000200         # size 131072
    00000000         # read_flags
    ffffffffffffffff # lock_owner
    00800000         # flags O_LARGEFILE
    00000000         # padding
  `);
  const request = decode(message);
  assert.equal(request.resent, false);
  assert.equal(request.nodeId, 5);
  assert.equal(request.fh, 0x1_0000_0001);
  assert.equal(request.offset, 4096);
  assert.equal(request.size, 131072);
  assert.equal(request.flags, 0x8000);
  assertEveryCutTooShort(message);
});

test("GETATTR with and without a handle", () => {
  const body = (flags: string): Buffer =>
    hex(`
      ${HEADER("38000000", "03000000")}
      ${flags}         # getattr_flags
      00000000         # dummy
      2a00000000000000 # fh 42
    `);
  const withHandle = decode(body("01000000"));
  assert.equal(withHandle.hasFh, true);
  assert.equal(withHandle.fh, 42);
  const without = decode(body("00000000"));
  assert.equal(without.hasFh, false);
  assert.equal(without.fh, 0);
  assertEveryCutTooShort(body("01000000"));
});

test("WRITE: data of exactly the size it says", () => {
  const message = hex(`
    ${HEADER("54000000", "10000000")}
    0300000000000000 # fh 3
    0800000000000000 # offset 8
    04000000         # size 4
    00000000         # write_flags
    0000000000000000 # lock_owner
    01000000         # flags O_WRONLY
    00000000         # padding
    deadbeef         # data
  `);
  const request = decode(message);
  assert.equal(request.fh, 3);
  assert.equal(request.offset, 8);
  assert.equal(request.size, 4);
  assert.equal(request.flags, 1);
  assert.deepEqual(request.data(), Buffer.from([0xde, 0xad, 0xbe, 0xef]));
  assertEveryCutTooShort(message);
});

test("SETATTR", () => {
  const message = hex(`
    ${HEADER("80000000", "04000000")}
    2b000000         # valid MODE | UID | SIZE | MTIME
    00000000         # padding
    0900000000000000 # fh 9
    0000010000000000 # size 65536
    0000000000000000 # lock_owner
    0100000000000000 # atime 1 s
    0200000000000000 # mtime 2 s
    0300000000000000 # ctime 3 s
    0065cd1d         # atimensec 500000000
    80b2e60e         # mtimensec 250000000
    00000000         # ctimensec
    a4810000         # mode 0100644
    00000000         # unused4
    e8030000         # uid 1000
    e9030000         # gid 1001
    00000000         # unused5
  `);
  const request = decode(message);
  assert.equal(request.valid, 0x2b);
  assert.equal(request.fh, 9);
  assert.equal(request.size, 65536);
  assert.equal(request.atimeSeconds, 1.5);
  assert.equal(request.mtimeSeconds, 2.25);
  assert.equal(request.ctimeSeconds, 3);
  assert.equal(request.mode, 0o100644);
  assert.equal(request.ownerUid, 1000);
  assert.equal(request.ownerGid, 1001);
  assertEveryCutTooShort(message);
});

test("RENAME2: two names", () => {
  const message = hex(`
    ${HEADER("3c000000", "2d000000")}
    0600000000000000 # newdir 6
    01000000         # flags RENAME_NOREPLACE
    00000000         # padding
    61 00            # "a"
    6262 00          # "bb"
  `);
  const request = decode(message);
  assert.equal(request.newParent, 6);
  assert.equal(request.flags, 1);
  assert.equal(request.name, "a");
  assert.equal(request.newName, "bb");
  assertEveryCutTooShort(message);
});

test("MKDIR, MKNOD, CREATE, SYMLINK", () => {
  const mkdir = hex(`
    ${HEADER("32000000", "09000000")}
    ed010000 # mode 0755
    12000000 # umask 022
    64 00    # "d"
  `);
  assert.deepEqual(
    [decode(mkdir).mode, decode(mkdir).umask, decode(mkdir).name],
    [0o755, 0o22, "d"],
  );
  assertEveryCutTooShort(mkdir);
  const mknod = hex(`
    ${HEADER("3a000000", "08000000")}
    b0610000 # mode S_IFBLK | 0660
    01080000 # rdev 8:1
    12000000 # umask 022
    00000000 # padding
    73 00    # "s"
  `);
  assert.deepEqual(
    [decode(mknod).mode, decode(mknod).rdev, decode(mknod).name],
    [0o60660, 0x801, "s"],
  );
  assertEveryCutTooShort(mknod);
  const create = hex(`
    ${HEADER("3a000000", "23000000")}
    41800000 # flags O_WRONLY | O_CREAT | O_LARGEFILE
    a4810000 # mode 0100644
    12000000 # umask 022
    00000000 # open_flags
    66 00    # "f"
  `);
  assert.deepEqual(
    [decode(create).flags, decode(create).mode, decode(create).name],
    [0x8041, 0o100644, "f"],
  );
  assertEveryCutTooShort(create);
  const symlink = hex(`
    ${HEADER("2e000000", "06000000")}
    6c 00       # "l"
    2e2e2f74 00 # "../t"
  `);
  assert.deepEqual([decode(symlink).name, decode(symlink).newName], ["l", "../t"]);
  assertEveryCutTooShort(symlink);
});

test("POLL, LSEEK, ACCESS, FSYNC, INTERRUPT", () => {
  const poll = hex(`
    ${HEADER("40000000", "28000000")}
    0100000000000000 # fh 1
    0b00000000000000 # kh 11
    01000000         # flags SCHEDULE_NOTIFY
    02000000         # events POLLPRI
  `);
  const polled = decode(poll);
  assert.deepEqual([polled.fh, polled.kh, polled.flags, polled.events], [1, 11, 1, 2]);
  assertEveryCutTooShort(poll);
  const lseek = hex(`
    ${HEADER("40000000", "2e000000")}
    0100000000000000 # fh 1
    0010000000000000 # offset 4096
    03000000         # whence SEEK_DATA
    00000000         # padding
  `);
  assert.deepEqual([decode(lseek).offset, decode(lseek).whence], [4096, 3]);
  assertEveryCutTooShort(lseek);
  const access = hex(`${HEADER("30000000", "22000000")} 02000000 00000000 # mask W_OK, padding`);
  assert.equal(decode(access).mask, 2);
  assertEveryCutTooShort(access);
  const fsync = hex(`
    ${HEADER("38000000", "14000000")}
    0100000000000000 # fh 1
    01000000         # fsync_flags FDATASYNC
    00000000         # padding
  `);
  assert.equal(decode(fsync).datasync, true);
  assertEveryCutTooShort(fsync);
  const interrupt = hex(`${HEADER("30000000", "24000000")} 0800000001000000 # unique 0x100000008`);
  assert.deepEqual([decode(interrupt).interruptedLow, decode(interrupt).interruptedHigh], [8, 1]);
  assertEveryCutTooShort(interrupt);
});

test("BATCH_FORGET: its pairs, and no more of them than there are", () => {
  const message = hex(`
    ${HEADER("50000000", "2a000000")}
    03000000         # count 3, of which only 2 are there
    00000000         # dummy
    0a00000000000000 # nodeid 10
    0100000000000000 # nlookup 1
    0b00000000000000 # nodeid 11
    0200000000000000 # nlookup 2
  `);
  const request = decode(message);
  assert.equal(request.size, 3);
  request.decodeForgetOne();
  assert.deepEqual([request.nodeId, request.nlookup], [10, 1]);
  request.decodeForgetOne();
  assert.deepEqual([request.nodeId, request.nlookup], [11, 2]);
  assert.deepEqual([request.nodeLow, request.nodeHigh], [11, 0]);
  assert.throws(() => request.decodeForgetOne(), MessageTooShort);
});

test("extensions at the end are not taken for names", () => {
  const message = hex(`
    3a000000          # len 58
    01000000          # opcode LOOKUP
    0200000000000000  # unique
    0100000000000000  # nodeid
    00000000 00000000 # uid, gid
    00000000          # pid
    0200 0000         # total_extlen: 16 bytes
    61 62             # "ab" without its NUL
    0000000000000000 0000000000000000 # extension
  `);
  assert.throws(() => decode(message), MessageTooShort);
});

test("handles that no plain number holds are refused", () => {
  const handle = hex(`
    ${HEADER("50000000", "0f000000")}
    00000000 00002000 # fh 2^53
    0000000000000000 00000000 00000000 0000000000000000 00000000 00000000
  `);
  assert.throws(() => decode(handle), ForeignId);
});

test("a request taken over by another keeps its message", () => {
  const from = load(LOOKUP);
  const queued = new Request(8192);
  queued.copyFrom(from);
  from.buffer.fill(0xff);
  queued.decodeBody();
  assert.equal(queued.name, "meminfo");
  assert.equal(queued.uniqueLow, 0xdeadbeef);
  assert.throws(() => new Request(40).copyFrom(from), RangeError);
});
