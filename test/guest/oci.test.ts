/** Containers of runc and crun, placed by the systemd cgroup driver, see themselves. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { run } from "../support/run.ts";
import type { Server } from "../support/server.ts";
import { startServer } from "./guest.ts";
import { startOci } from "./oci.ts";
import type { RunningContainer } from "./systemd_container.ts";
import { assertSees, look } from "./view.ts";
import { release } from "../support/lab.ts";

describe("OCI runtimes with the systemd cgroup driver", () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(async () => await release(server));

  for (const runtime of ["runc", "crun"] as const) {
    describe(`${runtime} with the systemd cgroup driver`, () => {
      const name = `lxcfs-${runtime}`;
      let container: RunningContainer;
      before(() => {
        const limits = { memoryMib: 128, swapMib: 64, cpus: "2-3" };
        const { mountpoint } = server;
        container = startOci({ runtime, name, slice: "machine.slice", ...limits, mountpoint });
      });
      after(() => container?.stop());

      test("the container is a scope of the slice", () => {
        const cgroup = readFileSync(`/proc/${container.initPid}/cgroup`, "utf8");
        assert.match(cgroup, new RegExp(`/machine\\.slice/lxcfs-test-${name}\\.scope`));
        assert.equal(run(["systemctl", "is-active", `lxcfs-test-${name}.scope`]), "active\n");
      });

      test("it sees its own limits", () => {
        assertSees(look(container.exec), {
          memoryMib: 128,
          swapMib: 64,
          cpus: 2,
          uptimeSeconds: 60,
        });
      });

      test("a limit changed through systemd is seen at once", () => {
        const scope = `lxcfs-test-${name}.scope`;
        run(["systemctl", "set-property", "--runtime", scope, "MemoryMax=96M"]);
        assertSees(look(container.exec), { memoryMib: 96, cpus: 2, uptimeSeconds: 90 });
      });
    });
  }
});
