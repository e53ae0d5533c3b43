/** The protocol through the real kernel: readers of every habit, many at once, and dying ones. */
import "./own_namespace.ts";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { errno, hasFlag, InitFlag } from "../../src/fuse/index.ts";
import { waitFor } from "../support/wait.ts";
import { cat, Mounted, outside, sh } from "./mounted.ts";
import { MANY, Word } from "./sample_filesystem.ts";

const HELLO = "Hello from user space!\n";

describe("one worker", () => {
  let mounted: Mounted;
  before(async () => {
    mounted = await Mounted.start({ workers: 1 }, { source: "sample" });
  });
  after(() => mounted.stop());

  test("the mount is what was asked for", async () => {
    const { stdout } = await sh('grep " $1 " /proc/mounts', mounted.path);
    assert.match(stdout, /^sample \S+ fuse\.sample rw,nosuid,nodev,.*allow_other/);
    const { major, minor, flags } = await mounted.server.negotiated;
    assert.equal(major, 7);
    assert.ok(minor >= 31 && minor <= 45, `minor ${minor}`);
    assert.ok(hasFlag(flags, InitFlag.PARALLEL_DIROPS));
  });

  test("whole, byte by byte, at odd offsets, past the end", async () => {
    const file = mounted.file("hello");
    assert.equal((await cat(file)).stdout, HELLO);
    assert.equal((await sh('dd if="$1" bs=1 2>/dev/null', file)).stdout, HELLO);
    const at = await sh('dd if="$1" bs=1 skip=7 count=4 2>/dev/null', file);
    assert.equal(at.stdout, HELLO.slice(7, 11));
    const pread = "fs.readSync(fs.openSync(process.argv[1]), Buffer.alloc(9), 0, 9, 4000)";
    const past = await outside(process.execPath, ["-p", pread, file]);
    assert.equal(past.stdout, "0\n", "end of file, not an error");
    assert.equal((await outside("tail", ["-c", "4", file])).stdout, "ce!\n");
  });

  test("more than one request's worth, in order", async () => {
    const { stdout } = await cat(mounted.file("big"));
    const bytes = Buffer.from(stdout, "latin1");
    assert.equal(bytes.length, 300_000);
    for (let at = 0; at < bytes.length; at += 4) assert.equal(bytes.readUInt32LE(at), at);
  });

  test("stat, a missing name, links, statfs", async () => {
    const stat = await outside("stat", ["-c", "%a %s %i %h", mounted.file("hello")]);
    assert.equal(stat.stdout, "444 23 2 1\n");
    assert.match((await cat(mounted.file("absent"))).stderr, /No such file or directory/);
    assert.equal((await cat(mounted.file("link"))).stdout, HELLO);
    assert.equal((await outside("stat", ["-f", "-c", "%S %l", mounted.path])).stdout, "4096 255\n");
  });

  test("a directory that needs many requests", async () => {
    const { stdout } = await outside("ls", ["-U", mounted.file("many")]);
    const names = stdout.trim().split("\n");
    assert.deepEqual(
      names,
      Array.from({ length: MANY }, (_, index) => `entry-${index}`),
    );
  });

  test("writing and truncating", async () => {
    const script = 'printf abcdef >"$1" && printf XY | dd of="$1" bs=1 seek=2 conv=notrunc 2>&1';
    assert.equal((await sh(script, mounted.file("sink"))).code, 0);
    assert.equal((await cat(mounted.file("sink"))).stdout, "abXYef");
    assert.equal((await outside("truncate", ["-s", "3", mounted.file("sink")])).code, 0);
    assert.equal((await cat(mounted.file("sink"))).stdout, "abX");
    const large = `head -c 300000 /dev/zero >"$1" && wc -c <"$1"`;
    assert.equal((await sh(large, mounted.file("sink"))).stdout.trim(), "300000");
  });

  test("an operation that throws is one EIO, and what is not there is ENOSYS", async () => {
    const before = await mounted.server.word(Word.ERRORS);
    assert.match((await cat(mounted.file("boom"))).stderr, /Input\/output error/);
    assert.equal(await mounted.server.word(Word.ERRORS), before + 1);
    const mkdir = await outside("mkdir", [mounted.file("new")]);
    assert.match(mkdir.stderr, /Function not implemented/);
    assert.equal((await cat(mounted.file("hello"))).stdout, HELLO);
  });

  test("cached content is read once, until it is invalidated or replaced", async () => {
    const file = mounted.file("cached");
    const first = (await cat(file)).stdout;
    assert.equal((await cat(file)).stdout, first);
    assert.equal(await mounted.server.ask({ ask: "invalInode" }), 0);
    const second = (await cat(file)).stdout;
    assert.equal(Number(second), Number(first) + 1);
    assert.equal(await mounted.server.ask({ ask: "store" }), 0);
    assert.equal((await cat(file)).stdout, "kept");
  });

  test("a cached name is looked up once, until it is invalidated", async () => {
    await cat(mounted.file("hello"));
    const before = await mounted.server.word(Word.LOOKUPS);
    await cat(mounted.file("hello"));
    assert.equal(await mounted.server.word(Word.LOOKUPS), before);
    assert.equal(await mounted.server.ask({ ask: "invalEntry" }), 0);
    await cat(mounted.file("hello"));
    assert.equal(await mounted.server.word(Word.LOOKUPS), before + 1);
  });

  test("pollers are woken by a notification", async () => {
    const program = new URL("poller.js", import.meta.url).pathname;
    const poller = spawn(process.execPath, [program, mounted.file("poll")]);
    let said = "";
    poller.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const waiting = async (): Promise<number> => mounted.server.word(Word.POLL_KH);
    await waitFor("the poller", () => said.includes("waiting"));
    for (let tries = 0; (await waiting()) === 0 && tries < 200; tries++) await sleep(10);
    await sleep(50);
    assert.equal(said, "waiting\n", "no event yet");
    await mounted.server.ask({ ask: "set", word: Word.POLL_EVENTS, value: 2 });
    assert.equal(await mounted.server.ask({ ask: "poll" }), 0);
    await waitFor("the events", () => said.includes("events"));
    assert.equal(said, "waiting\nevents 2\n");
  });
});

describe("readers at once", () => {
  const ways = [
    { name: "one worker", options: { workers: 1 } },
    { name: "three workers on one descriptor", options: { workers: 3 } },
    { name: "three workers, each with a cloned descriptor", options: { workers: 3, clone: true } },
  ];
  for (const { name, options } of ways) {
    test(`64 readers, ${name}`, async () => {
      const mounted = await Mounted.start(options);
      const script = `
        for reader in $(seq 64); do
          (for round in 1 2 3 4 5; do cat "$1/hello"; done; cksum <"$1/big") &
        done
        wait`;
      const { stdout, stderr } = await outside("sh", ["-c", script, "sh", mounted.path], 60_000);
      await mounted.stop();
      assert.equal(stderr, "");
      const lines = stdout.trim().split("\n");
      assert.equal(lines.filter((line) => `${line}\n` === HELLO).length, 5 * 64);
      const sums = lines.filter((line) => line.endsWith(" 300000"));
      assert.equal(sums.length, 64);
      assert.equal(new Set(sums).size, 1);
    });
  }

  test("readers that die while they wait leave nothing behind", async () => {
    const mounted = await Mounted.start({ workers: 2, slowMs: 100 });
    const readers = Array.from({ length: 16 }, () =>
      spawn("cat", [mounted.file("slow")], { stdio: "ignore" }),
    );
    await sleep(150); // some are being served, the others wait
    for (const reader of readers) reader.kill("SIGKILL");
    await waitFor("readers to end", () => readers.every((reader) => reader.signalCode !== null));
    assert.equal((await cat(mounted.file("hello"))).stdout, HELLO);
    assert.equal((await cat(mounted.file("slow"))).stdout, "slow\n");
    const reads = await mounted.server.word(Word.SLOW_READS);
    assert.ok(reads < 16 + 2, `${reads} reads: requests not yet taken went with their readers`);
    assert.equal(await mounted.server.word(Word.ERRORS), 0);
    await mounted.stop();
  });

  for (const interrupts of [false, true]) {
    const way = interrupts ? "told to the filesystem" : "switched off";
    test(`a signal that does not kill, interrupts ${way}`, async () => {
      const mounted = await Mounted.start({ workers: 2, slowMs: 300, interrupts });
      // dd answers SIGUSR1 with its counts and goes on.
      const dd = spawn("dd", [`if=${mounted.file("slow")}`, "bs=64"]);
      let stdout = "";
      dd.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
      while ((await mounted.server.word(Word.SLOW_READS)) === 0) await sleep(5);
      dd.kill("SIGUSR1");
      await sleep(50);
      dd.kill("SIGUSR1");
      await once(dd, "close");
      assert.equal(stdout, "slow\n");
      const seen = await mounted.server.word(Word.INTERRUPTS);
      assert.equal(seen > 0, interrupts, `${seen} interrupts`);
      assert.equal((await cat(mounted.file("hello"))).stdout, HELLO);
      assert.equal(await mounted.server.word(Word.ERRORS), 0);
      await mounted.stop();
    });
  }
});

describe("a server that dies", () => {
  test("its successor gets no INIT and answers what was left, if the kernel can resend", async () => {
    const mounted = await Mounted.start({ workers: 1, slowMs: 60_000 });
    const negotiated = await mounted.server.negotiated;
    const reader = cat(mounted.file("slow"));
    while ((await mounted.server.word(Word.SLOW_READS)) === 0) await sleep(10);
    await mounted.server.kill();
    const waiting = cat(mounted.file("hello")); // comes while nobody serves
    const successor = await mounted.serveAgain({ workers: 2, slowMs: 1, session: { negotiated } });
    assert.equal((await waiting).stdout, HELLO);
    const resent = await successor.ask({ ask: "resend" });
    if (hasFlag(negotiated.offered, InitFlag.HAS_RESEND)) {
      assert.equal(resent, 0);
      assert.deepEqual(await reader, { stdout: "slow\n", stderr: "", code: 0 });
      assert.equal(await successor.word(Word.RESENT), 1);
    } else {
      assert.equal(resent, -errno.EINVAL);
    }
    await mounted.stop();
  });
});

describe("what is negotiated", () => {
  test("ALLOW_IDMAP with default_permissions: served, and requests carry no uid", async (t) => {
    const session = { want: ["ALLOW_IDMAP", "BIG_WRITES"] as const };
    const mounted = await Mounted.start({ workers: 1, session }, { defaultPermissions: true });
    assert.equal((await cat(mounted.file("hello"))).stdout, HELLO);
    const { flags, offered } = await mounted.server.negotiated;
    const uid = await mounted.server.word(Word.UID);
    await mounted.stop();
    if (!hasFlag(offered, InitFlag.ALLOW_IDMAP)) return t.skip("kernel before 6.12");
    assert.ok(hasFlag(flags, InitFlag.ALLOW_IDMAP));
    assert.equal(uid, -1);
  });

  test("ALLOW_IDMAP without default_permissions: the kernel fails the connection", async (t) => {
    const session = { want: ["ALLOW_IDMAP"] as const };
    const mounted = await Mounted.start({ workers: 1, session });
    const { stderr } = await cat(mounted.file("hello"));
    const { offered } = await mounted.server.negotiated;
    await mounted.stop();
    if (!hasFlag(offered, InitFlag.ALLOW_IDMAP)) return t.skip("kernel before 6.12");
    assert.match(stderr, /Connection refused/);
  });

  test("longest read and write are kept to", async () => {
    const session = { maxWriteBytes: 4096, maxPages: 1 };
    const mounted = await Mounted.start({ workers: 1, session }, { maxReadBytes: 4096 });
    const { stdout } = await cat(mounted.file("big"));
    assert.equal(stdout.length, 300_000);
    const written = await sh('head -c 20000 /dev/zero >"$1"; wc -c <"$1"', mounted.file("sink"));
    assert.equal(written.stdout.trim(), "20000");
    assert.ok((await mounted.server.word(Word.REQUESTS)) > 75 + 5);
    assert.equal(await mounted.server.word(Word.ERRORS), 0);
    await mounted.stop();
  });
});
