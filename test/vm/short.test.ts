/** The short form of the suites in the virtual machine, as one test among those of the host. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { SKIPPED } from "./session.ts";

test("the v2 essentials pass on a kernel with cgroup v2 alone", async (t) => {
  const program = join(import.meta.dirname, "test_vm.js");
  const child = spawn(process.execPath, [program, "--short"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  let last = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    process.stdout.write(text);
    last = (last + text).slice(-2000);
  });
  const [status] = (await once(child, "close")) as [number | null];
  if (status === SKIPPED) {
    t.skip(/^skipped: (.*)$/m.exec(last)?.[1] ?? "no reason given");
    return;
  }
  assert.equal(status, 0, `the guest's suites ended with ${status}`);
});
