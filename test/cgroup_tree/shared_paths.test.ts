/**
 * Directories above a container's own are another node for each that looks. Where containers share
 * the path to one, the kernel takes one for the other in turn, and what is open, bound or a working
 * directory goes on.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { run } from "../support/run.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

void describe("paths that containers share", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let mine: Container;
  let theirs: Container;
  before(async () => {
    lab = await openLab();
    mine = await lab.container();
    theirs = await lab.container();
  });
  after(async () => {
    await lab?.close();
  });

  const trees = (container: Container): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, container));
  const shell = (container: Container, script: string): string =>
    container.exec(["sh", "-c", `set -e\n${script}`]).trim();

  void test("a descriptor, a working directory and a bind mount outlast others' lookups", async () => {
    for (const [index, { top, own }] of trees(mine).entries()) {
      const other = trees(theirs)[index] as Tree;
      const name = own.slice(top.length + 1);
      const script = `
set -e
mount -t tmpfs none /mnt
mkdir /mnt/top /mnt/own
mount --bind '${top}' /mnt/top
mount --bind '${own}' /mnt/own
cd '${top}'
exec 3<.
echo ready
read go
ls; ls /proc/self/fd/3/; ls /mnt/top; ls -d '${name}'
cd '${own}'
[ "$(readlink /proc/self/cwd)" = '${own}' ]
cd /mnt/own; [ "$(readlink /proc/self/cwd)" = /mnt/own ]
mkdir made; [ -e '/mnt/top/${name}/made/cgroup.procs' ]; rmdir '${own}/made'
cd '${own}'; cd ..; ls
umount -l /mnt`;
      const inside = mine.spawn(["unshare", "--mount", "sh", "-c", script]);
      let said = "";
      inside.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      inside.stderr?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      const closed = once(inside, "close");
      while (!said.includes("ready")) await once(inside.stdout as NodeJS.ReadableStream, "data");
      assert.equal(shell(theirs, `ls '${other.top}'`), other.own.slice(other.top.length + 1));
      inside.stdin?.end("go\n");
      await closed;
      assert.equal(said, `ready\n${`${name}\n`.repeat(5)}`);
    }
  });

  void test("both at once, all the time: every call succeeds", async () => {
    const rounds = 60;
    const loops = [mine, theirs].flatMap((container) =>
      trees(container).map(({ own }) => {
        const script = `
set -e
for round in $(seq ${rounds}); do
  read first <'${own}/cgroup.procs'
  echo 0 >'${own}/cgroup.procs'
  mkdir '${own}/round'
  [ -e '${own}/round/cgroup.procs' ]
  rmdir '${own}/round'
done`;
        return container.spawn(["sh", "-c", script]);
      }),
    );
    const ended = loops.map(async (loop) => {
      let said = "";
      loop.stderr?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      const [code] = (await once(loop, "close")) as [number];
      return `${code} ${said}`;
    });
    assert.deepEqual(
      await Promise.all(ended),
      loops.map(() => "0 "),
    );
  });

  void test("what the host binds: the own directory is shown, those above it are nobody's", () => {
    for (const { top, own } of trees(mine)) {
      const bind = `set -e
mount -t tmpfs none /mnt
mkdir /mnt/top /mnt/own
mount --bind '${top}' /mnt/top
mount --bind '${own}' /mnt/own`;
      run(["nsenter", "-m", "-t", String(mine.initPid), "sh", "-c", bind]);
      try {
        assert.equal(
          shell(mine, "[ -e /mnt/own/cgroup.procs ]; mkdir /mnt/own/a; ls -d /mnt/own/a"),
          "/mnt/own/a",
        );
        assert.equal(shell(mine, "rmdir /mnt/own/a; cd /mnt/own; ls cgroup.procs"), "cgroup.procs");
        for (const call of [
          "ls /mnt/top",
          "stat /mnt/top",
          `cat '/mnt/top/${own.slice(top.length + 1)}/cgroup.procs'`,
        ]) {
          assert.match(mine.tryExec(["sh", "-c", call]).stderr, /No such file or directory/, call);
        }
      } finally {
        mine.exec(["umount", "-l", "/mnt"]);
      }
    }
  });

  void test("a container in a container finds its own part where the outer one's is bound", () => {
    const inner = mine.cgroups.makeBelow(mine.cgroups.path, "inner");
    mine.cgroups.makeBelow(mine.cgroups.path, "beside");
    for (const { name, top, own } of trees(mine)) {
      const script = `set -e
mount -t tmpfs none /mnt
mkdir /mnt/top
mount --bind '${top}' /mnt/top
umount -l /sys/fs/cgroup
exec unshare --pid --fork --kill-child sh -ec 'cd "/mnt/top/$1"; ls -d beside inner cgroup.procs || :; cat inner/cgroup.procs' sh '${own.slice(top.length + 1)}'`;
      // Its cgroup is the inner one; the bind mount was made as the same.
      const command = mine.command(["unshare", "--mount", "sh", "-c", script], inner);
      const found = run(["sh", "-c", '"$@" 2>/dev/null', "sh", ...command]);
      assert.match(found, /^inner\n\d/, join(name, "inner"));
    }
  });
});
