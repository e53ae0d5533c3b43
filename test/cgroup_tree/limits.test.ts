/**
 * Nothing that was set for a container can be changed from inside, in any hierarchy there is; and no
 * limit is left by moving into a group of one's own.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { tryRun } from "../support/run.ts";
import { type Call, Probe, whyNoProbe } from "./probe.ts";
import { openLab } from "./trees.ts";

/** What a container may write in its own topmost cgroup: where processes are, and nothing else. */
const DELEGATED = {
  1: ["tasks", "cgroup.procs", "cgroup.clone_children", "notify_on_release"],
  2: delegatedOnV2(),
};

void describe("limits of the own cgroup", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container({ limits: { memoryBytes: 256 << 20, cpuQuotaUs: 50_000 } });
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const shownAs = (name: string): string =>
    join(lab.server.mountpoint, "cgroup", name, mine.cgroups.path);

  void test("no file of any hierarchy can be written, chmodded or chowned but those delegated", (t) => {
    let tried = 0;
    for (const { version, mountpoint } of mountedHierarchies()) {
      const real = join(mountpoint, mine.cgroups.path);
      const own = shownAs(version === 2 ? "unified" : basename(mountpoint));
      for (const file of readdirSync(real)) {
        const path = join(real, file);
        const before = statSync(path);
        if (before.isDirectory() || DELEGATED[version].includes(file)) continue;
        const isHidden = file === "cgroup.event_control" || file === "net_prio.ifpriomap";
        const refused = isHidden ? "ENOENT" : "EPERM";
        const calls: Call[] = ["chmod", "chown", "write:1", "write:max", "write:-1"].map((call) => [
          call,
          join(own, file),
        ]);
        const isReadOnly = (before.mode & 0o222) === 0;
        const text = tryRun(["cat", path]).stdout;
        for (const [index, answer] of probe.ask(mine, calls).entries()) {
          const call = calls[index]?.[0] ?? "";
          // Root opens a read-only file for writing, and the kernel refuses it at the one or the other.
          const expected =
            isReadOnly && call.startsWith("write") ? /^(EPERM|EACCES|EINVAL)$/ : refused;
          if (expected instanceof RegExp) assert.match(answer, expected, `${call} ${path}`);
          else assert.equal(answer, expected, `${call} ${path}`);
        }
        const now = statSync(path);
        assert.deepEqual([now.mode, now.uid, now.gid], [before.mode, before.uid, before.gid], path);
        // What counts goes on counting.
        if (!isReadOnly && !/usage|stat|pressure|peak/.test(file))
          assert.equal(tryRun(["cat", path]).stdout, text, path);
        tried++;
      }
    }
    t.diagnostic(`${tried} files`);
    assert.ok(tried > 10);
  });

  void test("a group below can't have more than its parent has", () => {
    for (const { version, mountpoint, controllers } of mountedHierarchies()) {
      const own = shownAs(version === 2 ? "unified" : basename(mountpoint));
      if (version === 1 && controllers.includes("cpu")) {
        const below = join(own, "greedy");
        mine.exec(["mkdir", below]);
        const [more, same] = probe.ask(mine, [
          ["write:90000", join(below, "cpu.cfs_quota_us")],
          ["write:40000", join(below, "cpu.cfs_quota_us")],
        ]);
        assert.deepEqual([more, same], ["EINVAL", "ok"]);
        mine.exec(["rmdir", below]);
      }
    }
  });

  void test(
    "a throttle of v1, which holds for one group alone, is not left by moving below",
    { skip: !existsSync("/sys/fs/cgroup/blkio") && "no v1 hierarchy of blkio here" },
    () => {
      const own = shownAs("blkio");
      const real = join("/sys/fs/cgroup/blkio", mine.cgroups.path);
      const device = readFileSync("/proc/partitions", "latin1")
        .split("\n")
        .map((line) => /^ *(\d+) +(\d+) +\d+ +(?:vda|sda|xvda|nvme0n1)$/.exec(line))
        .find((found) => found !== null);
      assert.ok(device, "a disk");
      mine.exec(["mkdir", join(own, "below")]);
      const move: Call[] = [["write:0", join(own, "below/cgroup.procs")]];
      assert.deepEqual(probe.ask(mine, move), ["ok"], "while there is no limit");
      const limit = join(real, "blkio.throttle.write_bps_device");
      writeFileSync(limit, `${device[1]}:${device[2]} 1048576`);
      assert.deepEqual(probe.ask(mine, move), ["EPERM"]);
      assert.deepEqual(probe.ask(mine, [["write:0", join(own, "below/tasks")]]), ["EPERM"]);
      assert.deepEqual(probe.ask(mine, [["write:0", join(own, "cgroup.procs")]]), ["ok"]);
      writeFileSync(limit, `${device[1]}:${device[2]} 0`);
      assert.deepEqual(probe.ask(mine, move), ["ok"]);
      mine.exec(["sh", "-c", `while ! rmdir '${own}/below' 2>/dev/null; do sleep 0.05; done`]);
    },
  );

  void test(
    "the class of packets is the host's to set",
    { skip: !hasNetCls() && "no v1 hierarchy of net_cls here" },
    () => {
      const { mountpoint } = mountedHierarchies().find(({ controllers }) =>
        controllers.includes("net_cls"),
      ) as { mountpoint: string };
      const below = join(mountpoint, mine.cgroups.path, "below");
      mkdirSync(below);
      const file = join(shownAs(basename(mountpoint)), "below/net_cls.classid");
      assert.deepEqual(
        probe.ask(mine, [
          ["read", file],
          ["write:1", file],
        ]),
        ["ok", "EPERM"],
      );
    },
  );
});

function hasNetCls(): boolean {
  return mountedHierarchies().some(({ controllers }) => controllers.includes("net_cls"));
}

function delegatedOnV2(): string[] {
  const file = "/sys/kernel/cgroup/delegate";
  if (!existsSync(file)) return ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"];
  return readFileSync(file, "latin1").trim().split("\n");
}
