/** Whatever is wrong, the OCI hook ends with 0, so that the container starts, and logs one line why. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

const HOOK = join(projectRoot, "share/oci-hook");
const WARNING = "lxcfs: warn: oci-hook: container starts without its files: ";
/** The hook's own limit is 3 s; a busy machine adds to it. */
const HUNG_MS = 20_000;

void describe("the OCI hook where something is wrong", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let bundle: string;
  /** A container at the stage of the hook: mounts of its own, the host's directories still there. */
  let container: ChildProcess;

  before(async () => {
    lab = await Lab.open();
    bundle = mkdtempSync(join(tmpdir(), "lxcfs-bundle-"));
    container = spawn("unshare", ["--mount", "sleep", "1000"], { stdio: "ignore" });
    const namespace = (pid: number | "self" | undefined): string =>
      readlinkSync(`/proc/${pid}/ns/mnt`);
    await waitFor("it has mounts", () => namespace(container.pid) !== namespace("self"));
    const proc = join(bundle, "rootfs/proc");
    const mount = `mkdir -p ${proc} && mount -t proc proc ${proc}`;
    run(["nsenter", "-t", String(container.pid), "-m", "sh", "-c", mount]);
  });
  after(async () => {
    container?.kill("SIGKILL");
    rmSync(bundle, { recursive: true, force: true });
    await lab?.close();
  });

  /** What the hook says of a state. */
  const said = (state: string, mountPoint: string): string => {
    const { status, stdout, stderr } = tryRun([HOOK, mountPoint], { input: state });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "");
    return stderr;
  };
  const state = (): string => JSON.stringify({ pid: container.pid, bundle });

  void test("nothing is wrong: nothing is said, and the files are there", () => {
    assert.equal(said(state(), lab.server.mountpoint), "");
    const mounts = run(["cat", `/proc/${container.pid}/mountinfo`]);
    assert.match(mounts, new RegExp(` ${bundle}/rootfs/proc/meminfo ro,.* fuse\\.lxcfs `));
  });

  for (const [what, given, why] of [
    ["no state at all", "", "no pid in the state on stdin"],
    ["a state without a bundle", '{"pid": 1}', "no bundle in the state on stdin"],
    ["a process that is gone", '{"pid": 4194303, "bundle": "/nowhere"}', "process 4194303 is gone"],
    [
      "the host's own mounts",
      `{"pid": ${process.pid}, "bundle": "/nowhere"}`,
      "it has no mount namespace of its own",
    ],
  ] as const) {
    void test(what, () => assert.equal(said(given, lab.server.mountpoint), `${WARNING}${why}\n`));
  }

  void test("no lxcfs on the mountpoint", () => {
    const why = said(state(), join(bundle, "nothing"));
    assert.equal(why, `${WARNING}no lxcfs is mounted on ${join(bundle, "nothing")}\n`);
  });

  void test("a server that hangs holds up nobody for long", () => {
    const servers = lab.server.pids();
    for (const pid of servers) process.kill(pid, "SIGSTOP");
    try {
      const beganMs = performance.now();
      const why = said(state(), lab.server.mountpoint);
      assert.ok(performance.now() - beganMs < HUNG_MS);
      assert.ok(
        why.endsWith(`${WARNING}lxcfs on ${lab.server.mountpoint} did not answer within 3 s\n`),
        why,
      );
    } finally {
      for (const pid of servers) process.kill(pid, "SIGCONT");
    }
  });
});
