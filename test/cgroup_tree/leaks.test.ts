/** Ways around names: events of a directory that several containers share, and guessed handles. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { localOfNode, ownerOfNode } from "../../src/cgroup_tree/node.ts";
import { slotOf } from "../../src/cgroup_tree/hierarchies.ts";
import { nodeIdOf } from "../../src/vfs/node_attributes.ts";
import { statSync } from "node:fs";
import type { Container } from "../support/container.ts";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

void describe("around names", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  let mapped: Container;
  let theirs: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
    mapped = await lab.container({ userBase: 400_000 });
    theirs = await lab.container();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (container: Container): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, container));

  /** Whether a process started by `command` learns of what theirs does meanwhile. */
  const learns = async (command: readonly string[], watched: string, own: string) => {
    const [program = "", ...argv] = command;
    const watcher = spawn(program, argv, { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    watcher.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
    watcher.stdin.end(`happens ${watched}\n`);
    const [line] = (await once(watcher.stderr, "data")) as [Buffer];
    assert.equal(line.toString(), "watching\n");
    theirs.exec(["ls", own]);
    theirs.exec(["chmod", "755", own]);
    await once(watcher, "close");
    return said !== "0\n";
  };

  void test("who is given its own directory alone, not those above, learns of nothing beside", async () => {
    for (const [index, tree] of trees(mine).entries()) {
      const other = trees(theirs)[index] as Tree;
      const inside = join("/sys/fs/cgroup", tree.name, basename(tree.own));
      const script = `
set -e
mount -t tmpfs none /sys/fs/cgroup
mkdir -p '${inside}'
mount --bind '${tree.own}' '${inside}'
mount -t tmpfs none '${lab.server.mountpoint}'
ls '${inside}' | grep -q cgroup.procs
exec "$@"`;
      const nested = ["unshare", "--mount", "sh", "-c", script, "sh", probe.program];
      const command = mine.command(nested);
      for (const watched of [join("/sys/fs/cgroup", tree.name), inside]) {
        assert.equal(await learns(command, watched, other.own), false, watched);
      }
    }
  });

  void test("who watches a directory above its own learns of nothing beside", async () => {
    for (const [index, tree] of trees(mine).entries()) {
      const other = trees(theirs)[index] as Tree;
      const command = mine.command([probe.program]);
      assert.equal(await learns(command, tree.top, other.own), false, tree.top);
    }
  });

  void test("a guessed handle opens nothing of another container", async () => {
    for (const [index, tree] of trees(theirs).entries()) {
      const hierarchy = mountedHierarchies().find(({ version, mountpoint }) =>
        tree.name === "unified" ? version === 2 : basename(mountpoint) === tree.name,
      );
      assert.ok(hierarchy);
      const slot = slotOf({ ...hierarchy, mountPoint: hierarchy.mountpoint, mountRoot: "/" });
      const parts = { slot, id: statSync(tree.realOwn).ino, depth: 1, file: 0 };
      const node = nodeIdOf(ownerOfNode(parts), localOfNode(parts));
      // Somebody is in it, so that the kernel knows the node.
      const inside = theirs.spawn(["sh", "-c", `cd '${tree.own}'; echo ready; exec sleep 100`]);
      assert.ok(inside.stdout);
      await once(inside.stdout, "data");
      const ask = (container: Container): string | undefined => {
        const own = trees(container)[index] as Tree;
        return probe.ask(container, [[`by-handle:${node}`, own.top]])[0];
      };
      assert.equal(ask(theirs), "ok", "the handle is the right one");
      // CAP_DAC_READ_SEARCH over the whole host: even so there is nothing behind it.
      assert.equal(ask(mine), "ENOENT");
      assert.match(ask(mapped) ?? "", /^(EPERM|ESTALE)$/);
      inside.kill("SIGKILL");
    }
  });
});
