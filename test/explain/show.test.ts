/** show prints, byte for byte, what the process reads: whichever way it came to the file. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { attachCommand, lxcfsCommand } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import { ask, FILES, InsideReader } from "./ask.ts";

const LIMITS = { memoryBytes: 96 << 20 };
const TRIES = 4;

/**
 * Asserts that `shown` is what was read between `before` and `after`: the same bytes, but for numbers
 * that moved meanwhile, which lie between the two.
 */
function assertBetween(shown: string, before: string, after: string, what: string): void {
  const split = (text: string): string[] => text.split(/(\d+(?:\.\d+)?)/);
  const [was, now, is] = [split(before), split(after), split(shown)];
  assert.equal(is.length, was.length, `${what}: ${shown}\nwas read as\n${before}`);
  for (const [i, token] of is.entries()) {
    if (was[i] === now[i]) assert.equal(token, was[i], `${what}, token ${i}`);
    else if (i % 2 === 1) {
      const bounds = [Number(was[i]), Number(now[i])].toSorted((a, b) => a - b);
      const value = Number(token);
      const inside = value >= (bounds[0] ?? 0) && value <= (bounds[1] ?? 0);
      assert.ok(inside, `${what}: ${token} is not within ${bounds.join("..")}`);
    }
    // Columns are padded: what stands before a number moves with its length.
  }
}

void describe("show", { skip: whyNoMounts() }, () => {
  let lab: Lab;

  before(async () => (lab = await Lab.open()));
  after(async () => await lab?.close());

  const compare = async (container: Container, files: readonly string[]): Promise<void> => {
    const reader = new InsideReader(container);
    try {
      for (const file of files) {
        const path = `/${file}`;
        for (let tries = 1; ; tries++) {
          const earlier = await reader.read(path);
          const { status, stdout, stderr } = ask(
            lab,
            ...["show", path, "--pid", String(container.initPid)],
          );
          const later = await reader.read(path);
          try {
            assert.equal(status, 0, stderr);
            assertBetween(stdout, earlier, later, path);
            break;
          } catch (error) {
            // The kernel gathers a cgroup's counts from time to time: they may jump there and back.
            if (tries === TRIES) throw error;
          }
        }
      }
    } finally {
      reader.end();
    }
  };

  const served = FILES.filter((file) => existsSync(`/${file}`));

  void test("files that answer by who reads", async () => {
    await compare(await lab.container({ depth: 2, limits: LIMITS }), served);
  });

  void test("files of an attached container", async () => {
    const container = await lab.container({ binds: new Map(), limits: LIMITS });
    run([
      ...[lxcfsCommand, "detach", String(container.initPid)],
      ...["--mountpoint", lab.server.mountpoint],
    ]);
    run([
      ...[...attachCommand, String(container.initPid)],
      ...["--mountpoint", lab.server.mountpoint],
    ]);
    await compare(
      container,
      served.filter((file) => !file.includes("/cpu/") && !file.includes("/node/")),
    );
  });

  void test("the kernel's own, where nothing was attached; a note says so", async () => {
    const container = await lab.container({ limits: LIMITS });
    run([
      ...[lxcfsCommand, "detach", String(container.initPid)],
      ...["--mountpoint", lab.server.mountpoint],
    ]);
    await compare(container, ["proc/cpuinfo", "proc/swaps", "proc/partitions"]);
    const { stderr } = ask(lab, "show", "meminfo", "--pid", String(container.initPid));
    assert.match(
      stderr,
      /^lxcfs show: note: process \d+ has the kernel's own \/proc\/meminfo;.*\n$/,
    );
  });

  void test("a file that is not in the process's mounts is refused, whatever lies there", async () => {
    const container = await lab.container({ limits: LIMITS });
    const script =
      "umount -l /proc/meminfo; mount -t tmpfs none /proc; ln -s /etc/shadow /proc/meminfo";
    tryRun(container.command(["sh", "-c", script]));
    const { status, stdout, stderr } = ask(
      lab,
      ...["show", "meminfo", "--pid", String(container.initPid)],
    );
    assert.equal(stdout, "");
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^lxcfs show: process \d+ has no \/proc\/meminfo: .*\n$/);
  });
});
