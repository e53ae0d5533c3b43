/** Large cgroups, deep and wide trees, and a server that dies: cost and identity stay. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { waitFor } from "../support/wait.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, isEmulated, killServer, openLab, type Tree, treeOf } from "./trees.ts";

const PROCESSES = isEmulated ? 1000 : 10_000;
/** The best of several reads: what it costs, not what else this machine does. */
const READ_MS = isEmulated ? Infinity : 100;
const DEEP = isEmulated ? 12 : 40;
const WIDE = isEmulated ? 60 : 300;

/**
 * In the container: makes N processes and reads cgroup.procs some times; says the best time, and
 * whose numbers were found.
 */
const READER = `
const { spawn } = require("node:child_process");
const { existsSync, readFileSync } = require("node:fs");
const [program, count, ...paths] = process.argv.slice(1);
const many = spawn(program, [count], { stdio: ["pipe", "pipe", "inherit"] });
many.stdout.once("data", (made) => {
  for (const path of paths) {
    let best = Infinity;
    let text = "";
    const endMs = performance.now() + 10_000;
    for (let round = 0; round < 10 || (best >= 100 && performance.now() < endMs); round++) {
      const start = performance.now();
      text = readFileSync(path, "latin1");
      best = Math.min(best, performance.now() - start);
    }
    const pids = new Set(text.trim().split("\\n"));
    const inside = [...pids].filter((pid) => existsSync("/proc/" + pid)).length;
    console.log(Number(made), pids.size, inside, best);
  }
  many.kill("SIGKILL");
});
`;

void describe("large and deep", { skip: whyNoMounts() || whyNoProbe() }, () => {
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

  void test(`cgroup.procs of ${PROCESSES} processes`, (t) => {
    const many = probe.compile("many.c", "bench");
    const files = trees().map(({ own }) => join(own, "cgroup.procs"));
    const argv = [process.execPath, "-e", READER, many, String(PROCESSES), ...files];
    const output = mine.exec(argv, { timeoutMs: 120_000 });
    for (const [index, line] of output.trim().split("\n").entries()) {
      const [made = 0, found = 0, inside = 0, bestMs = Infinity] = line.split(" ").map(Number);
      assert.equal(made, PROCESSES);
      assert.ok(found >= made, `${found} of ${made}`);
      assert.ok(inside >= found - 1, `${inside} of ${found} are processes of the container`);
      t.diagnostic(`${files[index]}: ${bestMs.toFixed(1)} ms`);
      assert.ok(bestMs < READ_MS, `${bestMs} ms`);
    }
  });

  void test("a deep tree and a wide one", () => {
    for (const { own, realOwn } of trees()) {
      const deep = Array.from({ length: DEEP }, (_, level) => `d${level}`).join("/");
      mine.exec(["mkdir", "-p", join(own, deep)]);
      assert.ok(mine.exec(["ls", join(own, deep)]).includes("cgroup.procs"));
      mine.exec(["sh", "-c", `cd '${own}' && rmdir -p '${deep}'`]);
      const names = Array.from({ length: WIDE }, (_, each) => `w${each}`);
      mine.exec(["sh", "-c", 'cd "$1"; shift; mkdir "$@"', "sh", own, ...names]);
      const listed = mine.exec(["ls", "-U", own]).trim().split("\n");
      assert.equal(new Set(listed).size, listed.length, "no name twice");
      const real = readdirSync(realOwn).filter((name) => name !== "cgroup.event_control");
      assert.deepEqual(listed.toSorted(), real.toSorted());
      mine.exec(["sh", "-c", 'cd "$1"; shift; rmdir "$@"', "sh", own, ...names]);
    }
  });

  void test("a server that is killed leaves directories and descriptors good", async () => {
    for (const { own } of trees()) {
      const script = `
cd '${own}' && mkdir kept && cd kept && exec 3< cgroup.procs 4> cgroup.procs
echo ready; read go
pwd -P >/dev/null && ls >/dev/null && cat <&3 && echo 0 >&4 && [ -n "$(cat cgroup.procs)" ] && echo good
echo 0 > ../cgroup.procs; cd ..; rmdir kept && echo gone`;
      const child = mine.spawn(["sh", "-c", script]);
      let said = "";
      child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      child.stderr?.on("data", (bytes: Buffer) => (said += bytes.toString()));
      await waitFor("the container is ready", () => said.includes("ready"));
      killServer(lab);
      child.stdin?.write("go\n");
      await waitFor("the container has gone on", () => child.exitCode !== null, 30_000);
      assert.match(said, /good\ngone\n$/);
    }
  });
});
