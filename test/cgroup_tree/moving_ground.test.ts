/**
 * Cgroups that are made, removed and renamed by the host, and processes that are moved, while a
 * container works in them without pause: it gets an answer of what is there, or that it is gone, and
 * its neighbour's groups of the same names stay as they are.
 */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { errnoName } from "../../src/sys/errno.ts";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { patient } from "../support/wait.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, openLab, type Tree, treeOf } from "./trees.ts";

const RUN_MS = Number(process.env["LXCFS_RACE_MS"] ?? 3000);
/** By then a group was seen, and seen to be gone. */
const LONGEST_MS = 30_000;

/** What each call may say of a group that comes and goes under its hands. */
const MAY: ReadonlyMap<string, readonly string[]> = new Map([
  ["stat", ["ok", "ENOENT"]],
  ["open-directory", ["ok", "ENOENT"]],
  ["chmod", ["ok", "ENOENT"]],
  ["read", ["ok", "ENOENT", "ENODEV"]],
  ["write:999999", ["ESRCH", "ENOENT", "ENODEV"]],
  ["open-write", ["ok", "ENOENT", "ENODEV"]],
  ["mkdir", ["ok", "ENOENT", "EEXIST", "ENODEV"]],
  ["rmdir", ["ok", "ENOENT", "EBUSY"]],
]);
/** What the host does without pause: groups come, go and, on v1, change places. */
const SHUFFLE = `
const { mkdirSync, renameSync, rmdirSync } = require("node:fs");
const [own, renames] = process.argv.slice(1);
const [a, b, aside] = ["a", "b", "aside"].map((name) => own + "/" + name);
const steps = [
  () => mkdirSync(a), () => mkdirSync(a + "/c"),
  ...(renames === "true"
    ? [() => renameSync(a, aside), () => mkdirSync(a), () => renameSync(a, b), () => renameSync(aside, a)]
    : [() => mkdirSync(b)]),
  () => rmdirSync(a + "/c"), () => rmdirSync(a), () => rmdirSync(b + "/c"), () => rmdirSync(b),
];
const sleeper = new Int32Array(new SharedArrayBuffer(4));
for (let step = 0; ; step++) {
  try { steps[step % steps.length](); } catch {}
  Atomics.wait(sleeper, 0, 0, 1);
}`;
const ON_FILE = new Set(["read", "write:999999", "open-write"]);

void describe("ground that moves", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  let theirs: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
    theirs = await lab.container();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  for (const name of hierarchyNames()) {
    void test(`groups made, removed and renamed while they are used: ${name}`, async (t) => {
      const [tree, other] = [mine, theirs].map((each) =>
        treeOf(lab.server.mountpoint, name, each),
      ) as [Tree, Tree];
      for (const each of ["a", "b"]) mkdirSync(join(other.realOwn, each));
      const asker = start(mine, probe.program);
      const renames = String(name !== "unified");
      const host = spawn(process.execPath, ["-e", SHUFFLE, tree.realOwn, renames]);
      const answers = createInterface(asker.stdout)[Symbol.asyncIterator]();
      const counts = new Map<string, number>();
      const startMs = performance.now();
      const sawBoth = (): boolean => counts.has("stat ok") && counts.has("stat ENOENT");
      let turns = 0;
      try {
        for (;;) {
          // In emulation one turn takes seconds, and groups are there for a moment only.
          const tookMs = performance.now() - startMs;
          if (tookMs > (sawBoth() ? RUN_MS : patient(LONGEST_MS))) break;
          turns++;
          const asked: string[] = [];
          for (const [call] of MAY) {
            for (const group of ["a", "b", "a/c"]) {
              const path = join(tree.own, group, ON_FILE.has(call) ? "cgroup.procs" : "");
              asker.stdin.write(`${call} ${path.replace(/\/$/, "")}\n`);
              asked.push(call);
            }
          }
          for (const call of asked) {
            const { value } = (await answers.next()) as { value: string };
            const answer = value === "0" ? "ok" : errnoName(Number(value));
            const key = `${call} ${answer}`;
            counts.set(key, (counts.get(key) ?? 0) + 1);
            assert.ok(MAY.get(call)?.includes(answer), `${call}: ${answer}`);
          }
        }
      } finally {
        asker.stdin.end();
        host.kill("SIGKILL");
        await Promise.all([once(asker, "exit"), once(host, "exit")]);
        for (const each of ["a/c", "a", "b/c", "b", "aside/c", "aside"])
          tryTo(() => rmdirSync(join(tree.realOwn, each)));
      }
      for (const each of ["a", "b"]) rmdirSync(join(other.realOwn, each));
      t.diagnostic(`${turns} turns: ${[...counts].map((each) => each.join(" ")).join(", ")}`);
      assert.ok(sawBoth());
    });

    void test(`a process that the host moves out meanwhile is not brought back: ${name}`, async () => {
      const tree = treeOf(lab.server.mountpoint, name, mine);
      const outside = treeOf(lab.server.mountpoint, name, theirs);
      mine.exec(["mkdir", join(tree.own, "group")]);
      const child = mine.spawn(["sh", "-c", "echo $$; exec sleep 1000"]);
      assert.ok(child.stdout);
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      const lists = mine.exec(["cat", join(tree.own, "cgroup.procs")]);
      assert.ok(lists.split("\n").includes(line));
      // The same process by the host's number: the one whose number inside is this.
      const host = readFileSync(join(tree.realOwn, "cgroup.procs"), "latin1")
        .trim()
        .split("\n")
        .find((pid) => new RegExp(`^NSpid:.*\\s${line}$`, "m").test(status(pid)));
      assert.ok(host);
      writeFileSync(join(outside.realOwn, "cgroup.procs"), host);
      const procs = join(tree.own, "group/cgroup.procs");
      const expected = name === "unified" ? "ENOENT" : "EACCES";
      assert.deepEqual(probe.ask(mine, [[`write:${line}`, procs]]), [expected]);
      assert.ok(readFileSync(join(outside.realOwn, "cgroup.procs"), "latin1").includes(host));
      process.kill(Number(host), "SIGKILL");
      mine.exec(["rmdir", join(tree.own, "group")]);
    });
  }
});

type Asker = ChildProcessByStdio<Writable, Readable, null>;

function start(container: Container, program: string): Asker {
  const [first = "", ...rest] = container.command([program]);
  return spawn(first, rest, { stdio: ["pipe", "pipe", "inherit"] });
}

function tryTo(work: () => void): void {
  try {
    work();
  } catch {
    // The container was there first.
  }
}

function status(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    return "";
  }
}
