/** A container in a container sees the tighter of the two limits. */
import { after, before, test, describe } from "node:test";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import type { Server } from "../support/server.ts";
import { startServer } from "./guest.ts";
import { startLxc } from "./lxc.ts";
import type { RunningContainer } from "./systemd_container.ts";
import { assertSees, look, type Exec } from "./view.ts";
import { cgroupMounts, classicBinds, quote } from "../support/container.ts";
import { release } from "../support/lab.ts";

describe("a container in a container", () => {
  /** Where the outer container finds the filesystem, to give it to inner ones. */
  const SHARED = "/var/lib/lxcfs";

  let server: Server;
  let outer: RunningContainer;

  before(async () => {
    server = await startServer();
    const limits = { memoryMib: 256, cpus: "0-2" };
    const { mountpoint } = server;
    outer = await startLxc({
      name: "outer",
      ...limits,
      mountpoint,
      config: [`lxc.mount.entry = ${mountpoint} ${SHARED.slice(1)} none rbind,ro,create=dir 0 0`],
    });
  });
  after(async () => {
    outer?.stop();
    await release(server);
  });

  /**
   * Runs a program in a container that the outer one's systemd makes: a scope, namespaces, and what
   * runtimes mount in them.
   */
  function inner(memoryMib: number): Exec {
    const binds = [...classicBinds(server.mountpoint)].map(
      ([inside, source]) => `mount --bind ${source.replace(server.mountpoint, SHARED)} ${inside}`,
    );
    const mounts = cgroupMounts(mountedHierarchies());
    const scope = ["systemd-run", "--quiet", "--scope", "-p", `MemoryMax=${memoryMib}M`];
    const unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--cgroup"];
    return (argv) => {
      // the first shell is the inner container's init: what looks is its child
      const script = ["set -e", ...mounts, ...binds, argv.map(quote).join(" "), ":"].join("\n");
      return outer.exec([...scope, ...unshare, "sh", "-c", script]);
    };
  }

  test("the outer container sees its limit", () => {
    assertSees(look(outer.exec), { memoryMib: 256, cpus: 3, uptimeSeconds: 120 });
  });

  test("an inner container with less sees its own limit", () => {
    assertSees(look(inner(128)), { memoryMib: 128, cpus: 3, uptimeSeconds: 60 });
  });

  test("an inner container that was promised more sees the outer's limit", () => {
    assertSees(look(inner(1024)), { memoryMib: 256, cpus: 3, uptimeSeconds: 60 });
  });
});
