/** How programs read: everything that works on the kernel's own cgroup files works on these. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

/** A file of each version that stays as it is, and is longer than one word. */
const STEADY: Readonly<Record<string, string>> = {
  memory: "memory.oom_control",
  unified: "cgroup.stat",
};

void describe("files of the cgroup tree", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const trees = (): Tree[] =>
    hierarchyNames().map((name) => treeOf(lab.server.mountpoint, name, mine));

  void test("whole, byte by byte, by sendfile and by the size that stat tells", () => {
    for (const { name, own, realOwn } of trees()) {
      const path = join(own, STEADY[name] ?? "");
      const text = readFileSync(join(realOwn, STEADY[name] ?? ""), "latin1");
      const readers: Record<string, string[]> = {
        cat: ["cat", path],
        "dd, a byte at a time": ["dd", "status=none", "bs=1", `if=${path}`],
        "sh, to the end of a line": [
          "sh",
          "-c",
          'while read -r line; do echo "$line"; done < "$1"',
          "sh",
          path,
        ],
        "tail, from the end": ["tail", "-n", "100", path],
        "busybox cat, by sendfile": ["busybox", "cat", path],
        "Node.js, as many bytes as stat says": [
          process.execPath,
          "-e",
          'process.stdout.write(require("node:fs").readFileSync(process.argv[1]))',
          path,
        ],
      };
      for (const [who, argv] of Object.entries(readers)) {
        assert.equal(mine.exec(argv), text, `${who}: ${path}`);
      }
    }
  });

  void test("no page of them is ever kept: mmap gets none", () => {
    for (const { name, own } of trees()) {
      const path = join(own, STEADY[name] ?? "");
      assert.deepEqual(
        probe.ask(mine, [
          ["mapped", path],
          ["mapped", probe.program],
        ]),
        ["EFAULT", "ok"],
      );
    }
  });
});
