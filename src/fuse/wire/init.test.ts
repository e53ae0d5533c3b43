import assert from "node:assert/strict";
import { test } from "node:test";
import { hasFlag, InitFlag } from "./abi.ts";
import { MessageTooShort } from "./cursor.ts";
import { hex } from "./hex.ts";
import { decodeInit, encodeInit, isFinal, negotiate } from "./init.ts";

const HEADER = `
  68000000 1a000000 # len 104, opcode INIT
  0200000000000000  # unique
  0000000000000000  # nodeid
  00000000 00000000 00000000 # uid, gid, pid
  0000 0000         # total_extlen, padding
`;

/** As Linux 6.18 sends it. */
const INIT_7_45 = hex(`
  ${HEADER}
  07000000 # major
  2d000000 # minor 45
  00000200 # max_readahead 128 KiB
  fbfffe73 # flags
  fd070000 # flags2
  ${"00".repeat(44)} # unused
`);

test("a kernel of our own version", () => {
  const init = decodeInit(INIT_7_45, INIT_7_45.length);
  assert.deepEqual(init, {
    major: 7,
    minor: 45,
    maxReadaheadBytes: 131072,
    flags: 0x7fd * 2 ** 32 + 0x73fefffb,
  });
  const negotiated = negotiate(init, {});
  assert.ok(negotiated);
  assert.equal(negotiated.minor, 45);
  assert.ok(hasFlag(negotiated.flags, InitFlag.HAS_RESEND));
  assert.ok(hasFlag(negotiated.flags, InitFlag.INIT_EXT));
  assert.ok(!hasFlag(negotiated.flags, InitFlag.ALLOW_IDMAP), "only when asked for");
  assert.deepEqual(JSON.parse(JSON.stringify(negotiated)), negotiated);
});

test("the answer, byte by byte", () => {
  const payload = Buffer.alloc(64, 0xee);
  const length = encodeInit(payload, {
    major: 7,
    minor: 45,
    offered: 0,
    flags: InitFlag.ASYNC_READ + InitFlag.INIT_EXT + InitFlag.HAS_RESEND + InitFlag.REQUEST_TIMEOUT,
    maxReadaheadBytes: 131072,
    maxWriteBytes: 65536,
    maxPages: 32,
    maxBackground: 12,
    congestionThreshold: 9,
    timeGranularityNs: 1,
    requestTimeoutSeconds: 60,
  });
  const expected = hex(`
    07000000 # major
    2d000000 # minor
    00000200 # max_readahead
    01000040 # flags ASYNC_READ | INIT_EXT
    0c00     # max_background
    0900     # congestion_threshold
    00000100 # max_write
    01000000 # time_gran
    2000     # max_pages
    0000     # map_alignment
    80040000 # flags2 HAS_RESEND | REQUEST_TIMEOUT
    00000000 # max_stack_depth
    3c00     # request_timeout
    ${"00".repeat(22)} # unused
  `);
  assert.equal(payload.subarray(0, length).toString("hex"), expected.toString("hex"));
});

test("an older kernel (5.4, 7.31): a short INIT without flags2", () => {
  const message = hex(`
    38000000 1a000000 0200000000000000 0000000000000000 00000000 00000000 00000000 00000000
    07000000 # major
    1f000000 # minor 31
    00000200 # max_readahead
    fbff7f03 # flags, without INIT_EXT
  `);
  const init = decodeInit(message, message.length);
  assert.equal(init.flags, 0x037ffffb);
  const negotiated = negotiate(init, { want: ["ASYNC_READ", "HAS_RESEND"] });
  assert.ok(negotiated);
  assert.equal(negotiated.minor, 31);
  assert.equal(negotiated.flags, InitFlag.ASYNC_READ);
});

test("flags2 counts only with INIT_EXT", () => {
  const message = Buffer.from(INIT_7_45);
  message.writeUInt32LE(0x33fefffb, 40 + 12);
  assert.equal(decodeInit(message, message.length).flags, 0x33fefffb);
});

test("a newer minor is answered with ours", () => {
  const negotiated = negotiate({ major: 7, minor: 99, maxReadaheadBytes: 4096, flags: 0 }, {});
  assert.equal(negotiated?.minor, 45);
  assert.equal(negotiated?.maxReadaheadBytes, 4096);
});

test("a newer major is answered with ours and asks again", () => {
  const init = { major: 8, minor: 0, maxReadaheadBytes: 0, flags: 0xffff };
  assert.equal(isFinal(init), false);
  assert.equal(negotiate(init, {})?.major, 7);
  assert.equal(negotiate(init, {})?.flags, 0);
});

test("kernels before 7.31 are refused", () => {
  assert.equal(negotiate({ major: 7, minor: 30, maxReadaheadBytes: 0, flags: 0 }, {}), undefined);
  assert.equal(negotiate({ major: 6, minor: 1, maxReadaheadBytes: 0, flags: 0 }, {}), undefined);
});

test("a request timeout needs the kernel's offer", () => {
  const wishes = { requestTimeoutSeconds: 30 };
  const init = { major: 7, minor: 45, maxReadaheadBytes: 0, flags: InitFlag.REQUEST_TIMEOUT };
  assert.equal(negotiate(init, wishes)?.requestTimeoutSeconds, 30);
  assert.ok(hasFlag(negotiate(init, wishes)?.flags ?? 0, InitFlag.REQUEST_TIMEOUT));
  assert.equal(negotiate({ ...init, flags: 0 }, wishes)?.requestTimeoutSeconds, 0);
});

test("an INIT cut short", () => {
  for (let length = 40; length < 56; length++)
    assert.throws(() => decodeInit(INIT_7_45, length), MessageTooShort);
});

test("hasFlag sees both words", () => {
  assert.ok(hasFlag(2 ** 39 + 1, 2 ** 39));
  assert.ok(!hasFlag(2 ** 39, 2 ** 7));
  assert.ok(!hasFlag(2 ** 7, 2 ** 39));
  assert.ok(hasFlag(2 ** 31 + 2 ** 32, 2 ** 31));
  assert.ok(!hasFlag(2 ** 39, 2 ** 39 + 1));
});
