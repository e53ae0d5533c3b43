/** Files that tell of their changes: poll(2) of `cgroup.events`, as on the kernel's own. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, killServer, openLab, type Tree, treeOf } from "./trees.ts";

const NOTHING = "poll 0";
/** POLLPRI and POLLERR. */
const CHANGED = "poll 10";
const LONG_MS = 60_000;

/** A program that polls as it is told. */
class Poller {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterableIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    assert.ok(child.stdout);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  tell(order: string): void {
    this.#child.stdin?.write(`${order}\n`);
  }

  async answer(): Promise<string> {
    const { value } = (await this.#lines.next()) as { value: string };
    return value;
  }

  async ask(order: string): Promise<string> {
    this.tell(order);
    return await this.answer();
  }

  end(): void {
    this.#child.stdin?.end();
  }
}

const noUnified = !hierarchyNames().includes("unified") && "needs cgroup v2";

void describe("changes", { skip: whyNoMounts() || whyNoProbe() || noUnified }, () => {
  let lab: Lab;
  let probe: Probe;
  let program: string;
  let mine: Container;
  let tree: Tree;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
    program = probe.compile("poll_events.c");
    mine = await lab.container();
    tree = treeOf(lab.server.mountpoint, "unified", mine);
    mkdirSync(join(tree.realOwn, "group"));
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  const poller = (path = join(tree.own, "group/cgroup.events")): Poller =>
    new Poller(mine.spawn([program, path]));

  /** Puts a process into the group, or takes it out. */
  const populate = (group = "group"): (() => void) => {
    const child = spawn("sleep", ["1000"], { stdio: "ignore" });
    writeFileSync(join(tree.realOwn, group, "cgroup.procs"), String(child.pid));
    return () => {
      const home = readFileSync("/proc/self/cgroup", "utf8").match(/^0::(.*)$/m)?.[1] ?? "/";
      writeFileSync(join(tree.realTop, home, "cgroup.procs"), String(child.pid));
      child.kill("SIGKILL");
    };
  };

  void test("of a group are told to who polls, once until they are read", async () => {
    const inside = poller();
    assert.equal(await inside.ask("poll 0"), CHANGED, "never read");
    assert.equal(await inside.ask("read"), "read empty");
    assert.equal(await inside.ask("poll 300"), NOTHING);
    inside.tell(`poll ${LONG_MS}`);
    const remove = populate();
    assert.equal(await inside.answer(), CHANGED);
    assert.equal(await inside.ask("poll 0"), CHANGED, "not read yet");
    assert.equal(await inside.ask("read"), "read populated");
    assert.equal(await inside.ask("poll 300"), NOTHING);
    inside.tell(`poll ${LONG_MS}`);
    remove();
    assert.equal(await inside.answer(), CHANGED);
    assert.equal(await inside.ask("read"), "read empty");
    inside.end();
  });

  void test("that come between the read and the poll are told at once", async () => {
    const inside = poller();
    assert.equal(await inside.ask("poll 0"), CHANGED);
    assert.equal(await inside.ask("read"), "read empty");
    const remove = populate();
    assert.equal(await inside.ask(`poll ${LONG_MS}`), CHANGED);
    remove();
    inside.end();
  });

  void test("are told to who has opened and closed more files than may be polled at once", async () => {
    const inside = poller();
    assert.equal(await inside.ask("again"), "again");
    assert.equal(await inside.ask("poll 0"), CHANGED);
    assert.equal(await inside.ask("read"), "read empty");
    inside.tell(`poll ${LONG_MS}`);
    const remove = populate();
    assert.equal(await inside.answer(), CHANGED);
    remove();
    inside.end();
  });

  void test("are told by the server that follows one that was killed", async () => {
    const inside = poller();
    assert.equal(await inside.ask("poll 0"), CHANGED);
    killServer(lab);
    // It can't know what happened meanwhile, and says so.
    assert.equal(await inside.ask(`poll ${LONG_MS}`), CHANGED);
    assert.equal(await inside.ask("read"), "read empty");
    assert.equal(await inside.ask("poll 300"), NOTHING);
    inside.tell(`poll ${LONG_MS}`);
    const remove = populate();
    assert.equal(await inside.answer(), CHANGED);
    remove();
    inside.end();
  });

  void test("of a group that is removed wake who waits", async () => {
    mkdirSync(join(tree.realOwn, "gone"));
    const inside = poller(join(tree.own, "gone/cgroup.events"));
    assert.equal(await inside.ask("poll 0"), CHANGED);
    assert.equal(await inside.ask("read"), "read empty");
    inside.tell(`poll ${LONG_MS}`);
    rmdirSync(join(tree.realOwn, "gone"));
    assert.equal(await inside.answer(), CHANGED);
    assert.equal(await inside.ask("read"), "read failed");
    inside.end();
  });
});
