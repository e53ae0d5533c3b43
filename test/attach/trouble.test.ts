/** What attaching must refuse, leave out, give up or undo. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, rmSync } from "node:fs";
import { release } from "node:os";
import { after, before, describe, it } from "node:test";
import { commitSteps, NamespaceThread } from "../../src/attach/commit.ts";
import { planJob } from "../../src/attach/plan.ts";
import { AttachPool } from "../../src/attach/pool.ts";
import { Target } from "../../src/attach/target.ts";
import type { Binding, Job, Outcome } from "../../src/attach/types.ts";
import { parseMountinfo } from "../../src/host/mountinfo.ts";
import { mount, MS } from "../../src/sys/native.ts";
import { cannotRunLxcfs, kill, startLxcfs } from "./lxcfs_process.ts";
import { cannotRun, enterSandbox, Scratch, TestContainer, until } from "./sandbox.ts";

const BASE = {
  kind: "attach",
  rootfs: "/",
  deadDevices: [],
  dryRun: false,
  procRoot: "/proc",
} as const;
const OURS = / \/\S+ \/(proc|sys|mnt)\S* .* served /;

/** Since Linux 6.5 (MOVE_MOUNT_BENEATH); before, a reader may meet the kernel's own file for a moment. */
const [major = 0, minor = 0] = release().split(".").map(Number);
const beneath = major > 6 || (major === 6 && minor >= 5);

describe("attaching", { skip: cannotRun }, () => {
  let scratch: Scratch;
  let pool: AttachPool;
  let served: string;
  let bindings: Binding[];

  const bind = (...targets: string[]): Binding[] =>
    targets.map((target) => ({ source: served + target, target }));
  const attach = (pid: number, more: Partial<Job> = {}): Promise<Outcome> =>
    pool.run({ ...BASE, pid, bindings, ...more });
  const withContainer = async (
    flags: readonly string[],
    script: string,
    use: (container: TestContainer) => Promise<void>,
  ): Promise<void> => {
    const container = await TestContainer.start(flags, script);
    try {
      await use(container);
    } finally {
      await container.stop();
    }
  };
  const why = (outcome: Outcome, target: string): string | undefined => {
    const step = outcome.steps.find((each) => each.target === target);
    return step && `${step.did}: ${step.why ?? ""}`;
  };

  before(() => {
    enterSandbox();
    scratch = new Scratch();
    served = scratch.servedTree("served", {
      "proc/meminfo": "MemTotal: 1 kB\n",
      "proc/uptime": "1.00 1.00\n",
      "proc/pressure/cpu": "some avg10=0.00\n",
      "mnt/file": "x\n",
      "other/proc/meminfo": "MemTotal: 2 kB\n",
      "sys/devices/system/cpu/online": "0\n",
    });
    bindings = bind("/proc/meminfo", "/proc/uptime");
    pool = new AttachPool({ threads: 2 });
  });

  after(async () => {
    await pool.close();
    scratch.close();
  });

  it("refuses the host's own mount namespace", async () => {
    const outcome = await attach(process.pid);
    assert.equal(outcome.status, "refused");
    assert.match(outcome.message ?? "", /host's own mount namespace/);
  });

  it("refuses a namespace that would pass the mounts on to the host", async () => {
    mount("none", "/proc", null, MS.SHARED, null);
    try {
      const plain = await TestContainer.startPlain();
      try {
        const outcome = await attach(plain.pid);
        assert.equal(outcome.status, "refused");
        assert.match(outcome.message ?? "", /shares \/proc with the host/);
        assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "latin1"), / \/proc\/meminfo /);
      } finally {
        await plain.stop();
      }
    } finally {
      mount("none", "/proc", null, MS.PRIVATE, null);
    }
  });

  it("says of a process that is gone that it is", async () => {
    const container = await TestContainer.start();
    await container.stop();
    assert.equal((await attach(container.pid)).status, "gone");
  });

  it("leaves out what the container lacks", () =>
    withContainer([], "umount -l /proc", async (container) => {
      // Below is the procfs of the sandbox; an empty directory hides it.
      const outcome = await attach(container.pid, { bindings: bind("/proc/meminfo", "/mnt/file") });
      assert.equal(outcome.status, "done");
      assert.match(why(outcome, "/mnt/file") ?? "", /^skipped: the container has none/);
    }));

  it("leaves a container without /proc as it is", () =>
    withContainer([], "mount -t tmpfs none /proc", async (container) => {
      const outcome = await attach(container.pid);
      assert.equal(outcome.status, "done");
      assert.equal(why(outcome, "/proc/meminfo"), "skipped: the container has none");
    }));

  it("leaves masked files masked", () =>
    withContainer([], "mount --bind /dev/null /proc/meminfo", async (container) => {
      const outcome = await attach(container.pid);
      assert.match(why(outcome, "/proc/meminfo") ?? "", /^skipped: covered by a \w+ mount/);
      assert.match(why(outcome, "/proc/uptime") ?? "", /^attached/);
      assert.equal(container.read("/proc/meminfo"), "");
    }));

  it("does not follow the container's symbolic links", () =>
    withContainer(
      [],
      "mount -t tmpfs none /mnt && ln -s /proc/uptime /mnt/file",
      async (container) => {
        const outcome = await attach(container.pid, { bindings: bind("/mnt/file") });
        assert.match(why(outcome, "/mnt/file") ?? "", /^skipped: a symbolic link/);
        assert.deepEqual(container.mounts(OURS), []);
      },
    ));

  it("manages with hidepid and read-only everything", () =>
    withContainer(
      [],
      "mount -o remount,ro,hidepid=2 /proc && mount --bind / /mnt && mount -o remount,bind,ro /",
      async (container) => {
        assert.equal((await attach(container.pid)).message, undefined);
        assert.equal(container.read("/proc/meminfo"), "MemTotal: 1 kB\n");
      },
    ));

  it("leaves a file that is offered for writing writable, and no other", () =>
    withContainer([], ":", async (container) => {
      for (const [mode, option] of [
        [0o444, / ro,nosuid/],
        [0o644, / rw,nosuid/],
      ] as const) {
        chmodSync(`${served}/proc/pressure/cpu`, mode);
        const outcome = await attach(container.pid, { bindings: bind("/proc/pressure/cpu") });
        assert.match(why(outcome, "/proc/pressure/cpu") ?? "", /^attached/);
        assert.match(container.mounts(OURS).join(), option);
        await attach(container.pid, { kind: "detach", bindings: bind("/proc/pressure/cpu") });
      }
    }));

  it("replaces by another view without a moment in between", () =>
    withContainer(
      [],
      // A reader inside writes down each different answer.
      `mount -t tmpfs none /mnt; (sleep 0.1; while :; do read -r x < /proc/meminfo; [ "$x" = "$y" ] || { y=$x; echo "$x" >> /mnt/seen; }; done) 2>> /mnt/seen &`,
      async (container) => {
        await attach(container.pid);
        await until(() => /kB/.test(container.read("/mnt/seen")));
        for (let round = 0; round < 30; round++) {
          const source = `${served}${round % 2 ? "" : "/other"}/proc/meminfo`;
          const outcome = await attach(container.pid, {
            bindings: [{ source, target: "/proc/meminfo" }],
          });
          assert.equal(outcome.steps[0]?.did, "replaced");
        }
        const seen = new Set(container.read("/mnt/seen").trim().split("\n"));
        if (beneath) assert.equal(seen.size, 2, [...seen].join());
        // No answer was an error, whatever else it was.
        for (const answer of seen) assert.match(answer, /^MemTotal: +\d+ kB$/);
        assert.equal(container.mounts(OURS).filter((line) => /meminfo/.test(line)).length, 1);
      },
    ));

  it("replaces also without MOVE_MOUNT_BENEATH", () =>
    withContainer([], ":", async (container) => {
      const older = new AttachPool({ threads: 1, beneath: false });
      try {
        for (const tree of ["", "/other"]) {
          const source = `${served}${tree}/proc/meminfo`;
          const outcome = await older.run({
            ...{ ...BASE, pid: container.pid },
            bindings: [{ source, target: "/proc/meminfo" }],
          });
          assert.equal(outcome.message, undefined);
        }
        assert.equal(container.read("/proc/meminfo"), "MemTotal: 2 kB\n");
        assert.equal(container.mounts(OURS).length, 1);
      } finally {
        await older.close();
      }
    }));

  it("takes away what it has placed when it fails half-way", () =>
    withContainer([], "mount -t tmpfs none /mnt && touch /mnt/file", async (container) => {
      const thread = new NamespaceThread();
      const target = Target.open("/proc", container.pid);
      const job = { ...BASE, pid: container.pid, bindings: bind("/proc/meminfo", "/mnt/file") };
      const mounts = parseMountinfo(readFileSync("/proc/self/mountinfo", "latin1"));
      const plan = planJob(job, target, { namespaces: new Set(), mounts });
      rmSync(`/proc/${container.pid}/root/mnt/file`);
      const commit = (): unknown => commitSteps(plan.steps, true, { beneath: true });
      assert.throws(() => thread.inside(target, commit), /ENOENT/);
      assert.deepEqual(container.mounts(OURS), []);
      for (const resource of [plan, target, thread]) resource.close();
    }));

  it("survives containers that die half-way", async () => {
    const dying = await Promise.all([1, 2, 3, 4, 5].map(() => TestContainer.start()));
    const outcomes = dying.map(async (container) => {
      const outcome = attach(container.pid);
      await container.stop();
      return await outcome;
    });
    for (const { status, message } of await Promise.all(outcomes)) {
      assert.ok(status === "done" || status === "gone", `${status}: ${message}`);
    }
  });

  it("works where the image holds one program only", async () => {
    const root = scratch.servedTree("distroless", { "proc/none": "", "sys/none": "" });
    const container = await TestContainer.startIn(root);
    try {
      const outcome = await attach(container.pid, {
        bindings: bind("/proc/meminfo", "/sys/devices/system/cpu"),
      });
      assert.equal(outcome.message, undefined);
      assert.equal(container.read("/proc/meminfo"), "MemTotal: 1 kB\n");
    } finally {
      await container.stop();
    }
  });

  it("gives up in time, and changes nothing later", { skip: cannotRunLxcfs }, async () => {
    mount("run", "/run", "tmpfs", 0, null);
    const hung = await startLxcfs(scratch, "hung");
    const impatient = new AttachPool({ threads: 1, timeLimitMs: 1500 });
    await withContainer([], ":", async (container) => {
      const before = container.mounts(/./);
      hung.child.kill("SIGSTOP");
      const stuck = impatient.run({
        ...{ ...BASE, pid: container.pid },
        bindings: [{ source: `${hung.mountPoint}/proc/meminfo`, target: "/proc/meminfo" }],
      });
      const other = impatient.run({ ...BASE, pid: container.pid, bindings: bind("/proc/uptime") });
      assert.equal((await stuck).status, "timeout");
      assert.deepEqual((await other).steps, [{ target: "/proc/uptime", did: "attached" }]);
      assert.equal(impatient.stuckThreads, 1);
      hung.child.kill("SIGCONT");
      assert.match(readFileSync(`${hung.mountPoint}/proc/uptime`, "latin1"), /\d/);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const [added, ...more] = container.mounts(/./).filter((line) => !before.includes(line));
      assert.match(added ?? "", / \/proc\/uptime /);
      assert.deepEqual(more, []);
    });
    await kill(hung);
    await impatient.close();
  });
});
