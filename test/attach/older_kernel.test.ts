/** Attaching as on Linux 5.10: without mount_setattr(2) and without MOVE_MOUNT_BENEATH. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { AttachPool } from "../../src/attach/pool.ts";
import type { Binding, Job, Outcome } from "../../src/attach/types.ts";
import { errno, errnoOf } from "../../src/sys/errno.ts";
import { mountSetattr, seccompFilter } from "../../src/sys/native.ts";
import { REFUSE } from "../../src/sys/seccomp.ts";
import { cannotRun, enterSandbox, Scratch, TestContainer } from "./sandbox.ts";

/** The same number on every machine. */
const SYS_mount_setattr = 442;
const ALLOW = 0x7fff0000;

/** Takes a system call away from this thread and those it starts, as if the kernel had none. */
function takeAway(call: number): void {
  const program = Buffer.alloc(4 * 8);
  const instructions = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, call],
    [0x06, 0, 0, REFUSE.errno | errno.ENOSYS],
    [0x06, 0, 0, ALLOW],
  ] as const;
  for (const [index, [code, ifTrue, ifFalse, value]] of instructions.entries()) {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(ifTrue, index * 8 + 2);
    program.writeUInt8(ifFalse, index * 8 + 3);
    program.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  seccompFilter(program, false);
}

describe("attaching on an older kernel", { skip: cannotRun }, () => {
  let scratch: Scratch;
  let pool: AttachPool;
  let served: string;
  const job = (pid: number, kind: Job["kind"], bindings: readonly Binding[]): Promise<Outcome> =>
    pool.run({
      kind,
      pid,
      bindings,
      rootfs: "/",
      deadDevices: [],
      dryRun: false,
      procRoot: "/proc",
    });
  const bind = (tree: string): Binding[] =>
    ["/proc/meminfo", "/sys/devices/system/cpu"].map((target) => ({
      source: `${served}${tree}${target}`,
      target,
    }));

  before(() => {
    enterSandbox();
    scratch = new Scratch();
    served = scratch.servedTree("served", {
      "proc/meminfo": "MemTotal: 1 kB\n",
      "sys/devices/system/cpu/online": "0\n",
      "other/proc/meminfo": "MemTotal: 2 kB\n",
      "other/sys/devices/system/cpu/online": "0-1\n",
    });
    takeAway(SYS_mount_setattr);
    pool = new AttachPool({ threads: 1, beneath: false });
  });
  after(async () => {
    await pool.close();
    scratch.close();
  });

  it("has no mount_setattr(2) here", () => {
    assert.throws(
      () => mountSetattr(0, "", 0, 0, 0),
      (error) => errnoOf(error) === errno.ENOSYS,
    );
  });

  for (const flags of [[], ["-U", "--map-root-user"]]) {
    it(`gives, replaces and takes away, read-only ${flags.join(" ")}`, async () => {
      const container = await TestContainer.start(flags);
      try {
        for (const [tree, text] of [
          ["", "MemTotal: 1 kB\n"],
          ["/other", "MemTotal: 2 kB\n"],
        ] as const) {
          const { message, steps } = await job(container.pid, "attach", bind(tree));
          assert.equal(message, undefined);
          assert.ok(steps.every(({ did }) => did === (tree === "" ? "attached" : "replaced")));
          assert.equal(container.read("/proc/meminfo"), text);
          const mounts = container.mounts(/ \/(proc|sys)\/\S* .* served /);
          assert.equal(mounts.length, 2, mounts.join("\n"));
          for (const line of mounts) assert.match(line, / ro,nosuid,nodev,noexec/);
        }
        await job(container.pid, "detach", bind("/other"));
        assert.deepEqual(container.mounts(/ \/(proc|sys)\/\S* .* served /), []);
      } finally {
        await container.stop();
      }
    });
  }
});
