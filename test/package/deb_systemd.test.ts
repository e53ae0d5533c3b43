/** The Debian package where systemd is init: installed, upgraded in place and removed, in a guest. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { GUEST_PROJECT } from "../vm/project.ts";
import { isUnavailable, withMachine } from "../vm/session.ts";

const GUEST_PACKAGES = "/srv/packages";
const TIMEOUT_MS = 600_000;

const skip =
  whyNoMounts() || (installed("dpkg-deb") && installed("npm") ? false : "needs dpkg-deb and npm");

test("under systemd the package is installed, upgraded and removed", { skip }, async (t) => {
  const packages = mkdtempSync(join(tmpdir(), "lxcfs-packages-"));
  const undo = guardWith(`rm -rf '${packages}'`);
  try {
    for (const version of ["9.0.0", "9.0.1"]) {
      const build = join(projectRoot, "tools/build-deb.sh");
      const args = ["--node", process.execPath, "--version", version, "--output", packages];
      run(["sh", build, ...args], { timeoutMs: 300_000 });
    }
    const share = { hostPath: packages, guestPath: GUEST_PACKAGES, readOnly: true } as const;
    const status = await withMachine(
      { layout: "v2", shares: [{ ...share, cache: "loose" }] },
      (machine) =>
        machine.job(["node", "--test", "dist/test/package/in_guest/deb.js"], {
          cwd: GUEST_PROJECT,
          env: { LXCFS_TEST_PACKAGES: GUEST_PACKAGES },
          timeoutMs: TIMEOUT_MS,
        }),
    );
    if (isUnavailable(status)) t.skip(status.unavailable);
    else assert.equal(status, 0, `the guest's tests ended with ${status}`);
  } finally {
    undo.run();
    rmSync(packages, { recursive: true, force: true });
  }
});
