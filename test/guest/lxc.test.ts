/** LXC containers running systemd, privileged and unprivileged, see themselves. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Server } from "../support/server.ts";
import { startServer } from "./guest.ts";
import { startLxc } from "./lxc.ts";
import type { RunningContainer } from "./systemd_container.ts";
import { assertSees, look } from "./view.ts";
import { release } from "../support/lab.ts";

describe("LXC", () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(async () => await release(server));

  const kinds = [
    { kind: "privileged", name: "priv", base: {} },
    { kind: "unprivileged", name: "unpriv", base: { idBase: 1_000_000 } },
  ] as const;

  for (const { kind, name, base } of kinds) {
    describe(`a ${kind} LXC container running systemd`, () => {
      let container: RunningContainer;
      before(async () => {
        const limits = { memoryMib: 256, swapMib: 128, cpus: "1-2" };
        container = await startLxc({ name, ...limits, ...base, mountpoint: server.mountpoint });
      });
      after(() => container?.stop());

      test("sees its own limits", () => {
        const expected = { memoryMib: 256, swapMib: 128, cpus: 2, uptimeSeconds: 120 };
        assertSees(look(container.exec), expected);
      });

      test("a service that its systemd starts sees the same", () => {
        const show = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"];
        const exec = (argv: readonly string[]) => container.exec([...show, ...argv]);
        assertSees(look(exec), { memoryMib: 256, swapMib: 128, cpus: 2, uptimeSeconds: 180 });
      });

      test("its tools agree", () => {
        const [, memory] = container.exec(["free", "-m"]).split("\n");
        assert.match(memory ?? "", /^Mem: +256 /);
        assert.match(container.exec(["top", "-b", "-n1"]), /^MiB Mem : +256\.0 total/m);
        assert.match(container.exec(["uptime"]), /load average: \d/);
      });

      test("root inside is who the configuration says", () => {
        const [line = ""] = readFileSync(`/proc/${container.initPid}/uid_map`, "utf8").split("\n");
        const [, outside] = line.trim().split(/\s+/).map(Number);
        assert.equal(outside, "idBase" in base ? base.idBase : 0);
      });
    });
  }
});
