/**
 * inotify on files of events: whoever watches one is told what a watcher of the kernel's own file is
 * told, and nothing else.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import type { Container } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { patient, waitFor } from "../support/wait.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, killServer, openLab, serverPids, type Tree, treeOf } from "./trees.ts";

const MODIFIED = "event 2";
/** Time in which an event would have come. */
const QUIET_MS = 1000;

/** A program that watches one file with inotify. */
class Watcher {
  static readonly #all = new Set<Watcher>();
  readonly events: string[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    assert.ok(child.stdout);
    createInterface({ input: child.stdout }).on("line", (line) => this.events.push(line));
  }

  static async start(child: ChildProcess): Promise<Watcher> {
    const watcher = new Watcher(child);
    this.#all.add(watcher);
    await waitFor("watching", () => watcher.events.shift() === "watching");
    return watcher;
  }

  async told(count: number): Promise<void> {
    await waitFor(`${count} events`, () => this.events.length >= count, 30_000);
  }

  end(): void {
    this.#child.stdin?.end();
  }

  /** Those of tests that have failed, too. */
  static endAll(): void {
    for (const each of this.#all) each.end();
  }
}

const noUnified = !hierarchyNames().includes("unified") && "needs cgroup v2";

void describe("watches", { skip: whyNoMounts() || whyNoProbe() || noUnified }, () => {
  let lab: Lab;
  let probe: Probe;
  let program: string;
  let mine: Container;
  let tree: Tree;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    program = probe.compile("watch_events.c");
    mine = await lab.container();
    tree = treeOf(lab.server.mountpoint, "unified", mine);
    mkdirSync(join(tree.realOwn, "group"));
  });
  after(async () => {
    Watcher.endAll();
    probe?.remove();
    await lab?.close();
  });

  const inside = (group = "group"): Promise<Watcher> =>
    Watcher.start(mine.spawn([program, join(tree.own, group, "cgroup.events")]));
  const ofKernel = (): Promise<Watcher> =>
    Watcher.start(
      spawn(program, [join(tree.realOwn, "group/cgroup.events")], {
        stdio: ["pipe", "pipe", "inherit"],
      }),
    );

  /** A process that goes into a group and out of it as it is told. */
  class Guest {
    readonly #child = spawn("sleep", ["1000"], { stdio: "ignore" });
    readonly #home = readFileSync("/proc/self/cgroup", "utf8").match(/^0::(.*)$/m)?.[1] ?? "/";

    constructor() {
      guardWith(`kill -9 ${this.#child.pid} 2>/dev/null`);
    }

    enter(group = "group"): void {
      writeFileSync(join(tree.realOwn, group, "cgroup.procs"), String(this.#child.pid));
    }

    leave(): void {
      writeFileSync(join(tree.realTop, this.#home, "cgroup.procs"), String(this.#child.pid));
    }

    end(): void {
      this.leave();
      this.#child.kill("SIGKILL");
    }
  }

  void test("tell the same as those of the kernel's own file, change for change", async () => {
    const guest = new Guest();
    const [ours, kernels] = [await inside(), await ofKernel()];
    for (let change = 1; change <= 6; change++) {
      if (change % 2 === 1) guest.enter();
      else guest.leave();
      await Promise.all([ours.told(change), kernels.told(change)]);
    }
    await sleep(patient(QUIET_MS));
    assert.deepEqual(ours.events, kernels.events);
    assert.deepEqual(new Set(ours.events), new Set([MODIFIED]));
    guest.end();
    ours.end();
    kernels.end();
  });

  void test("tell nothing of other groups, and reading or listing is no change", async () => {
    const other = await lab.container();
    const theirs = treeOf(lab.server.mountpoint, "unified", other);
    for (const top of [tree, theirs]) mkdirSync(join(top.realOwn, "beside"));
    const guest = new Guest();
    const ours = await inside();
    mine.exec(["ls", "-lR", tree.own]);
    guest.enter("beside");
    guest.leave();
    await sleep(patient(QUIET_MS));
    assert.deepEqual(ours.events, []);
    guest.end();
    ours.end();
    for (const top of [tree, theirs]) rmdirSync(join(top.realOwn, "beside"));
  });

  void test("outlast the server: the next one tells a change, since it can't know, and those that follow", async () => {
    const guest = new Guest();
    const ours = await inside();
    guest.enter();
    await ours.told(1);
    killServer(lab);
    await ours.told(2);
    guest.leave();
    await ours.told(3);
    assert.deepEqual(new Set(ours.events), new Set([MODIFIED]));
    guest.end();
    ours.end();
  });

  void test("hold up no server that is killed while events are raised", async () => {
    const guest = new Guest();
    const ours = await inside();
    for (let round = 0; round < 5; round++) {
      killServer(lab);
      const before = ours.events.length;
      for (let turn = 0; turn < 25; turn++) {
        guest.enter();
        guest.leave();
        await sleep(10);
      }
      await ours.told(before + 1);
      // It answers: a successor is there.
      assert.match(mine.exec(["cat", join(tree.own, "group/cgroup.events")]), /populated 0/);
    }
    guest.end();
    ours.end();
  });

  void test("end with who watches: nothing of them stays in the kernel's files", async () => {
    const group = join(tree.realOwn, "short");
    mkdirSync(group);
    const ours = await inside("short");
    const watched = watchedInodes();
    const { ino } = statSync(join(group, "cgroup.events"));
    assert.ok(watched.has(ino.toString(16)));
    ours.end();
    rmdirSync(group);
    await waitFor(
      "the watch is let go of",
      () => !watchedInodes().has(ino.toString(16)),
      90_000,
      1000,
    );
  });

  /** Inodes that the server watches. */
  function watchedInodes(): Set<string> {
    const found = new Set<string>();
    for (const pid of serverPids(lab)) {
      for (const name of readdirSync(`/proc/${pid}/fdinfo`)) {
        const text = tryRead(`/proc/${pid}/fdinfo/${name}`);
        for (const [, inode = ""] of text.matchAll(/^inotify .*ino:([0-9a-f]+)/gm)) {
          found.add(inode);
        }
      }
    }
    return found;
  }
});

const pids = mountedHierarchies().find(
  ({ version, mountpoint }) => version === 1 && basename(mountpoint) === "pids",
);
const whyNoPids =
  whyNoMounts() || whyNoProbe() || (pids === undefined && "needs cgroup v1 of pids");

void describe("watches on cgroup v1", { skip: whyNoPids }, () => {
  let lab: Lab;
  let probe: Probe;
  let mine: Container;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    mine = await lab.container();
  });
  after(async () => {
    Watcher.endAll();
    probe?.remove();
    await lab?.close();
  });

  // Linux 6.1 raises an event for that, 6.18 has it for v2 only.
  void test("tell of a fork that was refused what those of the kernel's own file tell", async () => {
    const tree = treeOf(lab.server.mountpoint, "pids", mine);
    const group = join(tree.realOwn, "group");
    mkdirSync(group);
    writeFileSync(join(group, "pids.max"), "1");
    const program = probe.compile("watch_events.c");
    const ours = await Watcher.start(mine.spawn([program, join(tree.own, "group/pids.events")]));
    const kernels = await Watcher.start(
      spawn(program, [join(group, "pids.events")], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    const fork = `echo 0 > '${group}/cgroup.procs'; /bin/true; :`;
    spawnSync("sh", ["-c", fork], { stdio: "ignore" });
    assert.match(readFileSync(join(group, "pids.events"), "utf8"), /^max [1-9]/m);
    await sleep(patient(QUIET_MS));
    // Of the kernel's own file the reading above is told, too.
    const modified = kernels.events.filter((each) => each === MODIFIED);
    assert.deepEqual(ours.events, modified);
    rmdirSync(group);
  });
});

function tryRead(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
