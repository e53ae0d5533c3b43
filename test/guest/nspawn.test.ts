/** A systemd-nspawn container that boots systemd sees the limits of its scope. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test, describe } from "node:test";
import type { Server } from "../support/server.ts";
import { layout, MACHINE, startServer } from "./guest.ts";
import { startNspawn } from "./nspawn.ts";
import type { RunningContainer } from "./systemd_container.ts";
import { assertSees, look } from "./view.ts";
import { release } from "../support/lab.ts";

describe("systemd-nspawn", () => {
  let server: Server;
  let container: RunningContainer;

  /** systemd sets cpusets on v2 only. */
  const cpus = layout === "v2" ? 2 : MACHINE.cpus;

  before(async () => {
    server = await startServer();
    const properties = ["MemoryMax=192M", ...(layout === "v2" ? ["AllowedCPUs=0,3"] : [])];
    container = await startNspawn({
      name: "lxcfs-test",
      properties,
      mountpoint: server.mountpoint,
    });
  });
  after(async () => {
    container?.stop();
    await release(server);
  });

  test("it is in a scope of machine.slice", () => {
    assert.match(
      readFileSync(`/proc/${container.initPid}/cgroup`, "utf8"),
      /machine\.slice\/machine-/,
    );
  });

  test("it sees the limits of its scope", () => {
    assertSees(look(container.exec), { memoryMib: 192, cpus, sys: false, uptimeSeconds: 120 });
  });

  test("a service of its systemd sees the same", () => {
    const show = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"];
    const exec = (argv: readonly string[]) => container.exec([...show, ...argv]);
    assertSees(look(exec), { memoryMib: 192, cpus, sys: false, uptimeSeconds: 180 });
  });
});
