/**
 * systemd in an LXC container that has no cgroup namespace and no cgroup mounts: what it finds in
 * /sys/fs/cgroup is our tree, as LXCFS 6 gave it.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { release } from "../support/lab.ts";
import type { Server } from "../support/server.ts";
import { limitsAreV1, startServer } from "./guest.ts";
import { startLxc } from "./lxc.ts";
import type { RunningContainer } from "./systemd_container.ts";

const NAME = "tree";
/** Every step of systemd's goes through our tree, in emulation: 110 s were seen on a busy machine. */
const BOOT_MS = 45_000;

/** Our tree bound where the kernel's would be. */
function mounts(mountpoint: string): string[] {
  const tree = join(mountpoint, "cgroup");
  return [
    "lxc.mount.auto =",
    "lxc.mount.auto = proc:mixed sys:mixed",
    "lxc.namespace.keep = cgroup user",
    "lxc.mount.entry = tmpfs sys/fs/cgroup tmpfs rw,nosuid,nodev,mode=755 0 0",
    ...readdirSync(tree).map(
      (name) => `lxc.mount.entry = ${tree}/${name} sys/fs/cgroup/${name} none bind,create=dir 0 0`,
    ),
  ];
}

describe(
  "systemd in a container without a cgroup namespace",
  { skip: !limitsAreV1 && "cgroup v1 only: on v2 systemd takes nothing but the kernel's own" },
  () => {
    let server: Server;
    let container: RunningContainer;
    before(async () => {
      server = await startServer({ args: ["--enable-cgroup"] });
      const limits = { memoryMib: 256, cpus: "0-1", mountpoint: server.mountpoint };
      container = await startLxc({
        name: NAME,
        ...limits,
        bootMs: BOOT_MS,
        config: mounts(server.mountpoint),
      });
    });
    after(async () => {
      container?.stop();
      await release(server);
    });

    test("has our tree, and its own part of it only", () => {
      const type = container.exec(["stat", "-f", "-c", "%T", "/sys/fs/cgroup/systemd"]).trim();
      assert.equal(type, "fuseblk");
      const top = container.exec(["ls", "/sys/fs/cgroup/memory"]).trim();
      assert.equal(top, `lxc.payload.${NAME}`);
      const script = "stat /sys/fs/cgroup/memory/lxc.monitor.tree 2>&1 || :";
      assert.match(container.exec(["sh", "-c", script]), /No such file/);
    });

    test("made its groups there and moved its services into them", () => {
      const own = `/sys/fs/cgroup/systemd/lxc.payload.${NAME}`;
      const groups = container.exec(["ls", own]).trim().split("\n");
      for (const group of ["init.scope", "system.slice"]) assert.ok(groups.includes(group), group);
      assert.ok(existsSync(`${own}/system.slice`), "as the host sees it");
      assert.equal(container.exec(["cat", `${own}/init.scope/cgroup.procs`]).split("\n")[0], "1");
    });

    test("starts a service with a limit, and reads its statistics", () => {
      const run = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        "-p",
        "MemoryLimit=64M",
      ];
      const own = container.exec([...run, "cat", "/proc/self/cgroup"]);
      const path = /^\d+:memory:(.*)$/m.exec(own)?.[1] ?? "";
      assert.ok(path.startsWith(`/lxc.payload.${NAME}/system.slice/run-`), path);
    });
  },
);
