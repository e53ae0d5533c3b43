import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fields, MessageWriter, ProtobufError } from "./protobuf.ts";

describe("protobuf", () => {
  it("reads the encodings of its documentation", () => {
    // message Test { int32 a = 1; string b = 2; Test c = 3; fixed64 d = 4; fixed32 e = 5; }
    const bytes = Buffer.from(
      [
        "089601", // a: 150
        "120774657374696e67", // b: "testing"
        "1a03089601", // c: { a: 150 }
        "210100000000000000", // d: passed over
        "2d01000000", // e: passed over
        "08ffffffffffffffffff01", // a: -1
      ].join(""),
      "hex",
    );
    const read = [...fields(bytes)].map(({ number, integer, bytes: b }) => [
      number,
      integer,
      b.toString("latin1"),
    ]);
    assert.deepEqual(read, [
      [1, 150, ""],
      [2, 0, "testing"],
      [3, 0, "\x08\x96\x01"],
      [4, 0, ""],
      [5, 0, ""],
      [1, -1, ""],
    ]);
  });

  it("writes the same", () => {
    const inner = new MessageWriter().integer(1, 150).finish();
    const message = new MessageWriter()
      .integer(1, 150)
      .string(2, "testing")
      .message(3, inner)
      .integer(1, -1);
    assert.equal(
      message.finish().toString("hex"),
      "089601120774657374696e671a0308960108ffffffffffffffffff01",
    );
    assert.equal(new MessageWriter().string(1, "").integer(2, 0).bool(3, false).finish().length, 0);
    assert.equal(
      new MessageWriter().map(5, { a: "b" }).finish().toString("hex"),
      "2a060a0161120162",
    );
  });

  it("throws nothing but its own error, whatever the bytes", () => {
    for (const hex of [
      "08",
      "0a05",
      "0aff",
      "07",
      "00",
      "08ffffffffffffffffffff01",
      "0affffffffffffffffff01",
    ])
      assert.throws(() => [...fields(Buffer.from(hex, "hex"))], ProtobufError, hex);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          for (const field of fields(Buffer.from(bytes))) assert.ok(field.number > 0);
        } catch (error) {
          assert.ok(error instanceof ProtobufError, String(error));
        }
      }),
    );
  });
});
