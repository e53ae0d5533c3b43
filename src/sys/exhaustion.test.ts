import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { errno, SystemError } from "./errno.ts";
import { canGive, opening, onShortage } from "./exhaustion.ts";

/** Runs `script` in a process that may have 64 descriptors. @returns what it prints, as JSON */
function withFewDescriptors(script: string): unknown {
  const modules = ["exhaustion", "held_file", "native", "read", "spares"];
  const imports = modules.map(
    (name) => `import * as ${name} from ${JSON.stringify(new URL(`${name}.js`, import.meta.url))};`,
  );
  const argv = ["--nofile=64", process.execPath, "--input-type=module", "-e"];
  const text = execFileSync("prlimit", [...argv, [...imports, script].join("\n")]);
  return JSON.parse(text.toString("latin1"));
}

test("what fails for want of descriptors is done again once some were given back, and nothing else is", () => {
  let left = 2;
  let shortages = 0;
  canGive(() => left-- > 0);
  onShortage(() => shortages++);
  let tries = 0;
  const fail = (code: number) => (): never => {
    tries++;
    throw new SystemError("open it", code);
  };
  assert.throws(() => opening(fail(errno.ENOENT)), { code: "ENOENT" });
  assert.deepEqual([tries, shortages], [1, 0]);
  tries = 0;
  assert.throws(() => opening(fail(errno.EMFILE)), { code: "EMFILE" });
  assert.deepEqual([tries, shortages], [3, 3], "given back twice, then nothing was left");
  assert.equal(
    opening(() => 5),
    5,
  );
});

test("more held files than descriptors: all can be read, those of processes stay open", () => {
  const { texts, heldOf } = withFewDescriptors(`
    const own = new held_file.HeldFile("/proc/self/cmdline", { onlyThisOne: true });
    own.read();
    const files = Array.from({ length: 200 }, () => new held_file.HeldFile("/proc/uptime"));
    const texts = [];
    for (let round = 0; round < 3; round++) for (const file of files) texts.push(typeof file.read());
    const fs = await import("node:fs");
    const heldOf = fs.readdirSync("/proc/self/fd").filter((fd) => {
      try { return fs.readlinkSync("/proc/self/fd/" + fd).endsWith("/cmdline") } catch { return false }
    }).length;
    console.log(JSON.stringify({ texts: [...new Set(texts)], heldOf }));
  `) as { texts: string[]; heldOf: number };
  assert.deepEqual(texts, ["string"]);
  assert.equal(heldOf, 1);
});

test("spares are closed for those who need a descriptor, and taken again when there is room", () => {
  const found = withFewDescriptors(`
    const pool = spares.spares;
    exhaustion.canGive(() => pool.give());
    pool.fill();
    const counts = [pool.count];
    const opened = [];
    for (;;) {
      const fd = native.openForReading("/");
      if (fd < 0) break;
      opened.push(fd);
    }
    counts.push(pool.count);
    pool.fill();
    counts.push(pool.count);
    for (const fd of opened) native.closeFd(fd);
    pool.fill();
    counts.push(pool.count);
    console.log(JSON.stringify({ counts, gives: [pool.give(40), pool.count, pool.give()] }));
  `) as { counts: number[]; gives: unknown[] };
  assert.deepEqual(found, { counts: [16, 0, 0, 16], gives: [true, 0, false] });
});
