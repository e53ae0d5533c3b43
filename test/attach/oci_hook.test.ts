/** Containers of runc and crun get their files by a hook, in time, and start without them if need be. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { OciContainer, type OciHook, type OciRuntime } from "../support/oci.ts";
import { keyedNumbers } from "../support/parse.ts";
import { lxcfsCommand, projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";

const RUNTIME = join(projectRoot, "share/oci-runtime");
const HOOK = join(projectRoot, "share/oci-hook");
const LIMITS = { memoryBytes: 64 << 20 };
/** What a container's start may take longer with the hook than without. */
const BUDGET_MS = 60;

void describe("the OCI hook", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let directory: string;

  before(async () => {
    lab = await Lab.open();
    directory = mkdtempSync(join(tmpdir(), "lxcfs-attach-hook-"));
  });
  after(async () => {
    rmSync(directory, { recursive: true, force: true });
    await lab?.close();
  });

  const withHook = (
    runtime: OciRuntime,
    hook: OciHook,
    use: (container: OciContainer) => void,
  ): void => {
    const hooks = { createRuntime: [hook] };
    const container = OciContainer.start(runtime, { limits: LIMITS, hooks });
    try {
      use(container);
    } finally {
      container.stop();
    }
  };
  const memTotal = (container: OciContainer): number | undefined =>
    keyedNumbers(container.read("/proc/meminfo")).get("MemTotal");
  const mountsOf = (container: OciContainer): string[] =>
    readFileSync(`/proc/${container.initPid}/mountinfo`, "latin1")
      .split("\n")
      .filter((line) => line.includes(" fuse.lxcfs "));

  for (const runtime of ["runc", "crun"] as const) {
    const skip = installed(runtime) ? false : `${runtime} is not installed`;

    void test(`${runtime}: every served file is there, pressure included`, { skip }, () => {
      const hook = { path: HOOK, args: ["oci-hook", lab.server.mountpoint] };
      withHook(runtime, hook, (container) => {
        assert.equal(memTotal(container), 65_536);
        const mounted = mountsOf(container).map((line) => line.split(" ")[4]);
        // Cgroups of v1 alone account no pressure, and then nothing is served.
        const paths = ["proc/stat", "proc/pressure/memory", "sys/devices/system/cpu"];
        const served = paths.filter((path) => existsSync(join(lab.server.mountpoint, path)));
        assert.ok(served.length >= 2, served.join(" "));
        for (const path of served) {
          assert.ok(mounted.includes(`/${path}`), `${path} of ${mounted.join(" ")}`);
        }
        assert.match(mountsOf(container).find((line) => / \/proc\/stat /.test(line)) ?? "", / ro,/);
      });
    });

    void test(`${runtime}: the container starts also where nothing is served`, { skip }, () => {
      const hook = { path: HOOK, args: ["oci-hook", join(directory, "nothing")] };
      withHook(runtime, hook, (container) => {
        assert.ok((memTotal(container) ?? 0) > 65_536);
      });
    });

    void test(`${runtime}: lxcfs oci-hook does the same`, { skip }, () => {
      const args = ["lxcfs", "oci-hook", "--mountpoint", lab.server.mountpoint];
      const env = [`PATH=${process.env["PATH"]}`];
      withHook(runtime, { path: lxcfsCommand, args, env }, (container) => {
        assert.equal(memTotal(container), 65_536);
        // Its own view, whoever reads: it is the same from outside.
        const outside = `/proc/${container.initPid}/root/proc/meminfo`;
        assert.equal(keyedNumbers(readFileSync(outside, "latin1")).get("MemTotal"), 65_536);
      });
    });
  }

  for (const [what, hooks] of [
    ["no hooks", undefined],
    ["an empty set of hooks", {}],
    ["hooks of another stage", { poststart: [{ path: "/bin/true" }] }],
    ["an empty stage", { createRuntime: [] }],
    ["a hook of the same stage", { createRuntime: [{ path: "/bin/true" }] }],
  ] as const) {
    for (const indent of [0, 2]) {
      const layout = indent > 0 ? "many lines" : "one line";
      void test(`oci-runtime adds the hook to a bundle with ${what}, in ${layout}`, () => {
        const config = { ociVersion: "1.0.2", annotations: { x: '"hooks":{ ,}' }, hooks };
        const path = join(directory, "config.json");
        writeFileSync(path, JSON.stringify(config, null, indent));
        const environment = ["LXCFS_OCI_RUNTIME=echo", `LXCFS_MOUNTPOINT=${lab.server.mountpoint}`];
        const argv = ["--root", "/run/x", "create", "--bundle", directory, "name"];
        const output = run(["env", ...environment, RUNTIME, ...argv]);
        assert.equal(output.trim(), argv.join(" "));
        const changed = JSON.parse(readFileSync(path, "utf8")) as typeof config;
        const [hook, ...others] = (changed.hooks as unknown as { createRuntime: OciHook[] })
          .createRuntime;
        assert.equal(hook?.path, HOOK);
        assert.deepEqual(hook?.args, ["oci-hook", lab.server.mountpoint]);
        assert.deepEqual(
          { ...config, hooks: { ...hooks, createRuntime: [hook, ...others] } },
          changed,
        );
        assert.equal(others.length, what === "a hook of the same stage" ? 1 : 0);
      });
    }
  }

  const noRunc = !installed("runc")
    ? "runc is not installed"
    : existsSync("/vm/agent")
      ? "an emulated machine is no measure of time"
      : false;
  void test(`it takes less than ${BUDGET_MS} ms`, { skip: noRunc }, () => {
    const log = join(directory, "times");
    const timed = join(directory, "timed");
    const script = `#!/bin/bash\nbegin=$(date +%s%N)\n"${HOOK}" "$@"\necho $(($(date +%s%N) - begin)) >> ${log}\n`;
    writeFileSync(timed, script, { mode: 0o755 });
    const hook = { path: timed, args: ["timed", lab.server.mountpoint] };
    let timesMs: number[] = [];
    // The best of some: what a busy machine adds is not the hook's.
    for (let i = 0; i < 30 && !(i >= 5 && Math.min(...timesMs) < BUDGET_MS); i++) {
      withHook("runc", hook, () => {});
      const lines = readFileSync(log, "utf8").trim().split("\n");
      timesMs = lines.map((ns) => Number(ns) / 1e6);
    }
    const list = timesMs.map((ms) => ms.toFixed(1)).join(" ");
    console.log(`oci-hook: ${list} ms`);
    assert.ok(Math.min(...timesMs) < BUDGET_MS, list);
  });
});

/** What oci-hooks(5) asks of a file in hooks.d: podman and CRI-O read it with the same library. */
void test("oci-hook.json is what podman and CRI-O take", () => {
  const text = readFileSync(join(projectRoot, "share/oci-hook.json"), "utf8");
  const { version, hook, when, stages, ...others } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual(others, {});
  assert.equal(version, "1.0.0");
  assert.deepEqual(when, { always: true });
  assert.deepEqual(stages, ["createRuntime"]);
  const { path, args, timeout, ...more } = hook as Record<string, unknown>;
  assert.deepEqual(more, {});
  assert.equal(path, "/usr/share/lxcfs/oci-hook");
  // The first is the program's own name, as for execve(2).
  assert.deepEqual(args, ["oci-hook", "/var/lib/lxcfs"]);
  assert.ok(Number.isInteger(timeout) && Number(timeout) > 0);
});
