import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { isAlive } from "./process_alive.ts";

test("a process that runs is alive; one that has ended is not, whether or not its parent knows", async () => {
  // The shell starts one and becomes a program that takes no note of its end.
  const parent = spawn("sh", ["-c", "sh -c 'read line; exit' <&3 & echo $!; exec sleep 60"], {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
  });
  try {
    assert.ok(parent.stdout);
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const child = Number(line);
    assert.equal(isAlive("/proc", process.pid), true);
    assert.equal(isAlive("/proc", child), true);
    (parent.stdio[3] as NodeJS.WritableStream).end("go\n");
    const untilMs = performance.now() + 10_000;
    while (isAlive("/proc", child) && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.equal(isAlive("/proc", child), false);
    process.kill(child, 0); // It is a zombie: there all the same.
  } finally {
    parent.kill("SIGKILL");
    await once(parent, "exit");
  }
  assert.equal(isAlive("/proc", parent.pid ?? 0), false);
});
