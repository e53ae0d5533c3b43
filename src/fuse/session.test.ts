import assert from "node:assert/strict";
import { test } from "node:test";
import { errno, SystemError } from "../sys/errno.ts";
import { MemoryChannel } from "./memory_channel.ts";
import type { Operations } from "./operations.ts";
import { Session } from "./session.ts";
import type { SessionOptions } from "./session.ts";
import { WATCH_WORDS, watchRead } from "./watch.ts";
import { hex } from "./wire/hex.ts";
import type { Negotiated } from "./wire/init.ts";

/** A message with unique 0x8000000100000004 and node 5; the length word is not what counts. */
function message(opcode: string, body = ""): Buffer {
  return hex(`
    00000000          # len
    ${opcode}         # opcode
    04000000 01000080 # unique
    0500000000000000  # nodeid
    00000000 00000000 # uid, gid
    07000000          # pid
    0000 0000         # total_extlen, padding
    ${body}
  `);
}

const LOOKUP = message("01000000", "61 00 # name");
const FORGET = message("02000000", "0100000000000000 # nlookup");
const READ = message(
  "0f000000",
  `0900000000000000 # fh
   0300000000000000 # offset
   08000000         # size
   00000000 0000000000000000 00000000 00000000`,
);

function serve(
  requests: Buffer[],
  operations: Operations,
  options: SessionOptions = {},
): { session: Session; channel: MemoryChannel; errors: [unknown, number][] } {
  const channel = new MemoryChannel();
  channel.requests.push(...requests);
  const errors: [unknown, number][] = [];
  const session = new Session(channel, operations, {
    onError: (error, opcode) => errors.push([error, opcode]),
    ...options,
  });
  session.serve();
  return { session, channel, errors };
}

function answersHex(channel: MemoryChannel): string[] {
  return channel.answers.map((answer) => answer.toString("hex"));
}

/** An answer without payload to `message`. */
function bare(errorHex: string): string {
  return hex(`10000000 ${errorHex} 0400000001000080`).toString("hex");
}
const ENOSYS = bare("daffffff");
const EIO = bare("fbffffff");
const ENOENT = bare("feffffff");

test("a READ gets the bytes its operation wrote, under its own id", () => {
  const text = Buffer.from("0123456789");
  const { channel, errors } = serve([READ], {
    read: ({ fh, offset, size, nodeId, pid }, reply) => {
      assert.deepEqual([fh, offset, size, nodeId, pid], [9, 3, 8, 5, 7]);
      return text.copy(reply.data, 0, offset, offset + size);
    },
  });
  assert.deepEqual(answersHex(channel), [
    hex(`
      17000000         # len 23
      00000000         # error
      0400000001000080 # unique
      33343536373839   # "3456789"
    `).toString("hex"),
  ]);
  assert.deepEqual(errors, []);
});

test("a negative errno is the answer, and no failure", () => {
  const { channel, errors, session } = serve([LOOKUP], { lookup: () => -errno.ENOENT });
  assert.deepEqual(answersHex(channel), [ENOENT]);
  assert.deepEqual(errors, []);
  assert.equal(session.counts.failed, 0);
  assert.equal(session.counts.resent, 1);
});

test("an operation that throws: the errno it carries or EIO, reported once, and service goes on", () => {
  const thrown = [new SystemError("read it", errno.ENOENT), new TypeError("oops"), "a string"];
  const { channel, errors } = serve([LOOKUP, LOOKUP, LOOKUP, LOOKUP], {
    lookup() {
      if (thrown.length > 0) throw thrown.shift();
      return 0;
    },
  });
  assert.deepEqual(answersHex(channel), [ENOENT, EIO, EIO, bare("00000000")]);
  assert.equal(errors.length, 3);
  assert.ok(errors[0]?.[0] instanceof SystemError);
  assert.equal(errors[0][1], 1);
});

test("a reporter that throws does no harm", () => {
  const fail = (): never => {
    throw new Error("no");
  };
  const { channel } = serve([LOOKUP], { lookup: fail }, { onError: fail });
  assert.deepEqual(answersHex(channel), [EIO]);
});

test("nonsense as a result is EIO, never a message the kernel would refuse", () => {
  for (const result of [NaN, -512, -Infinity, Infinity, 1e9, undefined as unknown as number]) {
    const { channel, errors } = serve([LOOKUP], { lookup: () => result });
    assert.deepEqual(answersHex(channel), [EIO], String(result));
    assert.equal(errors.length, 1);
  }
});

test("what is not implemented, known or not, is ENOSYS", () => {
  const unknown = message("ffff0000");
  const flush = message("19000000", "00".repeat(24));
  const { channel, errors } = serve([LOOKUP, flush, unknown], {});
  assert.deepEqual(answersHex(channel), [ENOSYS, ENOSYS, ENOSYS]);
  assert.deepEqual(errors, []);
});

test("statfs and destroy have answers of their own", () => {
  const { channel } = serve([message("11000000"), message("26000000")], {});
  assert.equal(channel.answers[0]?.length, 96);
  assert.equal(answersHex(channel)[1], bare("00000000"));
});

test("FORGET and BATCH_FORGET are never answered, even when they are malformed or fail", () => {
  const forgotten: number[][] = [];
  const batch = message(
    "2a000000",
    `02000000 00000000                 # count, dummy
     0a00000000000000 0100000000000000 # nodeid, nlookup
     0b00000000000000 0200000000000000`,
  );
  const { channel, errors } = serve(
    [FORGET, batch, FORGET.subarray(0, 44), batch.subarray(0, 70)],
    { forget: ({ nodeId, nlookup }) => void forgotten.push([nodeId, nlookup]) },
  );
  assert.deepEqual(forgotten, [
    [5, 1],
    [10, 1],
    [11, 2],
    [10, 1],
  ]);
  assert.deepEqual(channel.answers, []);
  assert.equal(errors.length, 2);
  assert.deepEqual(serve([FORGET, batch], {}).channel.answers, []);
});

test("what was asked for by Notifier.retrieve is told and never answered", () => {
  const reply = message(
    "29000000",
    `0000000000000000                   # dummy
     0010000000000000 02000000 00000000 # offset, size, dummy
     0000000000000000 0000000000000000  # dummies
     6869`,
  );
  const told: unknown[] = [];
  const { channel, errors } = serve([reply, reply.subarray(0, reply.length - 1)], {
    retrieved: (request) => {
      told.push([request.nodeId, request.offset, request.data().toString()]);
    },
  });
  assert.deepEqual(told, [[5, 4096, "hi"]]);
  assert.deepEqual(channel.answers, []);
  assert.equal(errors.length, 1);
  assert.deepEqual(serve([reply], {}).channel.answers, []);
});

test("a body too short is EIO; a header too short is counted and left", () => {
  const { channel, errors, session } = serve([READ.subarray(0, 60), READ.subarray(0, 39)], {
    read: () => assert.fail("must not be called"),
  });
  assert.deepEqual(answersHex(channel), [EIO]);
  assert.equal(errors.length, 1);
  assert.equal(session.counts.ignored, 1);
});

test("interrupts: switched off, or told without an answer", () => {
  const interrupt = message("24000000", "0800000001000000 # unique of the interrupted request");
  assert.deepEqual(answersHex(serve([interrupt], {}).channel), [ENOSYS]);
  const told: number[][] = [];
  const { channel } = serve([interrupt], { interrupt: (low, high) => void told.push([low, high]) });
  assert.deepEqual(channel.answers, []);
  assert.deepEqual(told, [[8, 1]]);
});

test("a request that is gone is counted; an answer called invalid is reported; ENODEV ends", () => {
  const cases = [
    { refuse: -errno.ENOENT, gone: 2, failed: 0, answers: 2 },
    { refuse: -errno.EINVAL, gone: 0, failed: 2, answers: 2 },
    { refuse: -errno.ENODEV, gone: 0, failed: 0, answers: 1 },
  ];
  for (const { refuse, gone, failed, answers } of cases) {
    const channel = new MemoryChannel();
    channel.requests.push(LOOKUP, LOOKUP);
    channel.refuse = refuse;
    const session = new Session(channel, {});
    session.serve();
    assert.equal(session.counts.gone, gone);
    assert.equal(session.counts.failed, failed);
    assert.equal(channel.answers.length, answers);
  }
});

const INIT_BODY = (major: string): string => `
  ${major}          # major
  29000000          # minor 41
  00000200          # max_readahead
  01000040 80000000 # flags ASYNC_READ | INIT_EXT, flags2 HAS_RESEND
  ${"00".repeat(44)}
`;

test("INIT: the outcome is told once, before the answer, and can be handed on", () => {
  const seen: Negotiated[] = [];
  const { session, channel } = serve(
    [message("1a000000", INIT_BODY("08000000")), message("1a000000", INIT_BODY("07000000"))],
    {},
    { onInit: (negotiated) => seen.push(negotiated), maxWriteBytes: 4096, maxPages: 4 },
  );
  assert.equal(channel.answers.length, 2);
  assert.equal(channel.answers[0]?.readUInt32LE(16), 7);
  assert.equal(seen.length, 1);
  assert.equal(seen[0]?.minor, 41);
  assert.equal(seen[0].flags, 2 ** 39 + 2 ** 30 + 1);
  assert.deepEqual(session.negotiated, seen[0]);
  const successor = new Session(new MemoryChannel(), {}, { negotiated: seen[0] });
  assert.deepEqual(successor.negotiated, seen[0]);
});

test("INIT of a kernel that is too old is refused with a reason", () => {
  const old = message("1a000000", "07000000 1e000000 00000000 00000000 # 7.30");
  const { channel, errors } = serve([old], {});
  assert.deepEqual(answersHex(channel), [bare("b9ffffff")]); // -EPROTO
  assert.match(String(errors[0]?.[0]), /7\.30/);
});

test("the watched slot shows the running operation and nothing afterwards", () => {
  const slot = new Int32Array(new SharedArrayBuffer(4 * WATCH_WORDS));
  let nowMs = 2 ** 32 - 100;
  let during: ReturnType<typeof watchRead>;
  serve(
    [READ],
    {
      read() {
        nowMs += 250; // past the wrap of the 32-bit clock
        during = watchRead(slot, nowMs);
        return 0;
      },
    },
    { watch: slot, nowMs: () => nowMs },
  );
  assert.deepEqual(during, {
    sequence: 1,
    uniqueLow: 4,
    uniqueHigh: 0x80000001,
    opcode: 15,
    nodeId: 5,
    nodeLow: 5,
    nodeHigh: 0,
    ageMs: 250,
    pid: 7,
    fh: 9,
    offset: 3,
    size: 8,
  });
  assert.equal(watchRead(slot, nowMs), undefined);
});

test("serve stops after the request during which it was told to", () => {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  let calls = 0;
  const { channel } = serve(
    [LOOKUP, LOOKUP, LOOKUP],
    {
      lookup() {
        if (++calls === 2) Atomics.store(stop, 0, 1);
        return -errno.ENOENT;
      },
    },
    { stop },
  );
  assert.equal(channel.answers.length, 2);
});

test("requests can wait in a queue between receive and dispatch", () => {
  const channel = new MemoryChannel();
  channel.requests.push(LOOKUP, READ);
  const names: string[] = [];
  const session = new Session(channel, {
    lookup: ({ name }) => (names.push(name), -errno.ENOENT),
    read: () => (names.push("read"), 0),
  });
  const first = session.createRequest();
  const second = session.createRequest();
  assert.ok(session.receive(first));
  assert.ok(session.receive(second));
  session.dispatch(second);
  session.dispatch(first);
  assert.deepEqual(names, ["read", "a"]);
  assert.deepEqual(answersHex(channel), [bare("00000000"), ENOENT]);
  assert.equal(session.receive(first), false);
});
