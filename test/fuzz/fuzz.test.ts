/** The fuzzer for a few seconds, and that it finds what there is to find. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Opcode } from "../../src/fuse/wire/abi.ts";
import { Finding, fuzz, fuzzTarget, TARGETS } from "./fuzz.ts";
import { inputOf, messagesOf } from "./messages.ts";

const SECONDS = 10;

for (const target of TARGETS) {
  void test(`${target}: nothing is found in ${SECONDS} seconds`, async (context) => {
    const seed = Date.now() >>> 0;
    try {
      const { runs, blocks, blocksBefore } = await fuzzTarget(target, SECONDS, seed);
      context.diagnostic(
        `${runs} conversations, ${blocksBefore} to ${blocks} blocks, seed ${seed}`,
      );
      assert.ok(runs > 100, `${runs} conversations only`);
      assert.ok(blocksBefore > 100, `the corpus makes ${blocksBefore} blocks run`);
    } catch (error) {
      if (error instanceof Finding) console.error(error.input.toString("hex"));
      throw error;
    }
  });
}

/** Goes wrong where four rare kinds of message come together: step by step, or as good as never. */
function planted(input: Buffer): void {
  const asked = new Set<number>();
  for (const message of messagesOf(input)) {
    if (message.length >= 40) asked.add(message.readUInt32LE(4));
  }
  if (asked.has(Opcode.LSEEK)) {
    if (asked.has(Opcode.POLL)) {
      if (asked.has(Opcode.RENAME2)) {
        if (asked.has(Opcode.BATCH_FORGET)) throw new Error("planted");
      }
    }
  }
}

void test("what only coverage leads to is found", () => {
  const message = Buffer.alloc(64);
  message.writeUInt32LE(Opcode.READ, 4);
  const options = {
    run: planted,
    corpus: [inputOf([message])],
    isMeasured: (url: string) => url.endsWith("/test/fuzz/fuzz.test.js"),
    seconds: 60,
    seed: 1,
  };
  assert.throws(() => fuzz(options), /planted/);
});
