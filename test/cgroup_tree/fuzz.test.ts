/**
 * Random operations from two containers at once. A model of each container's own part says what
 * every call must answer; it knows nothing of the other's. At the end of each round both parts are
 * on the host what their models say.
 */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { errnoName } from "../../src/sys/errno.ts";
import type { Container } from "../support/container.ts";
import { type Lab, whyNoMounts } from "../support/lab.ts";
import { Probe, whyNoProbe } from "./probe.ts";
import { hierarchyNames, isEmulated, openLab, type Tree, treeOf } from "./trees.ts";

const RUN_MS = Number(process.env["LXCFS_FUZZ_MS"] ?? 6000);
const ROUND = isEmulated ? 15 : 60;
const NAMES = ["a", "b", "c"];
const CALLS = [
  ..."mkdir mkdir mkdir rmdir rmdir stat open-directory chmod write:0 read rename unlink".split(
    " ",
  ),
  ..."open-write truncate symlink mknod chdir listxattr write:999999".split(" "),
];

/** A seeded generator (mulberry32), so that a failure can be had again. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** One container: a process in it that makes calls, and what its part of a tree must be. */
class Player {
  readonly tree: Tree;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  /** Its groups, by path below its own cgroup; the own one is "". */
  readonly groups = new Set([""]);
  /** Where its process is. */
  at = "";

  constructor(container: Container, program: string, tree: Tree) {
    this.tree = tree;
    const [first = "", ...rest] = container.command([program]);
    this.#process = spawn(first, rest, { stdio: ["pipe", "pipe", "inherit"] });
    this.#answers = createInterface(this.#process.stdout)[Symbol.asyncIterator]();
  }

  async ask(call: string, path: string): Promise<string> {
    this.#process.stdin.write(`${call} ${path}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`The probe ended at ${call} ${path}`);
    return value === "0" ? "ok" : errnoName(Number(value));
  }

  async end(): Promise<void> {
    this.#process.stdin.end();
    if (this.#process.exitCode === null) await once(this.#process, "exit");
  }

  /** What a call on a path below the own cgroup must answer; changes the model where it succeeds. */
  expect(call: string, group: string): string {
    const parent = group.slice(0, Math.max(0, group.lastIndexOf("/")));
    const exists = this.groups.has(group);
    const hasChild = [...this.groups].some((each) => each.startsWith(`${group}/`));
    if (call === "mkdir" || call === "symlink" || call === "mknod") {
      if (exists) return "EEXIST";
      if (!this.groups.has(parent)) return "ENOENT";
      if (call !== "mkdir") return "EPERM";
      this.groups.add(group);
      return "ok";
    }
    if (!exists) return "ENOENT";
    switch (call) {
      case "rmdir":
        if (hasChild || this.at === group) return "EBUSY";
        this.groups.delete(group);
        return "ok";
      case "write:0":
        this.at = group;
        return "ok";
      case "write:999999":
        return "ESRCH";
      case "rename":
        return "EPERM";
      case "unlink":
      case "truncate":
        return "EISDIR";
      case "listxattr":
        return "ENOTSUP";
      default:
        return "ok";
    }
  }
}

/** Calls that are made on a group's file, not on its directory. */
const ON_FILE = new Set(["write:0", "write:999999", "read", "open-write"]);
const pathOf = (call: string, directory: string): string =>
  ON_FILE.has(call) ? join(directory, "cgroup.procs") : directory;

function realGroups(directory: string, below = ""): string[] {
  const found = [below];
  for (const entry of readdirSync(join(directory, below), { withFileTypes: true })) {
    if (entry.isDirectory()) found.push(...realGroups(directory, `${below}/${entry.name}`));
  }
  return found;
}

void describe("two containers at random", { skip: whyNoMounts() || whyNoProbe() }, () => {
  let lab: Lab;
  let probe: Probe;
  before(async () => {
    lab = await openLab();
    probe = new Probe();
  });
  after(async () => {
    probe?.remove();
    await lab?.close();
  });

  for (const name of hierarchyNames()) {
    void test(`neither sees or changes anything of the other: ${name}`, async (t) => {
      const seed = Number(process.env["LXCFS_FUZZ_SEED"] ?? Date.now() & 0xffffff);
      const random = randomOf(seed);
      const containers = [await lab.container(), await lab.container()];
      const trees = containers.map((each) => treeOf(lab.server.mountpoint, name, each));
      const players = containers.map(
        (each, index) => new Player(each, probe.program, trees[index] as Tree),
      );
      const step = async (player: Player, other: Player): Promise<void> => {
        const call = CALLS[random(CALLS.length)] as string;
        const depth = 1 + random(3);
        const group = Array.from({ length: depth }, () => `/${NAMES[random(3)]}`).join("");
        if (random(4) > 0) {
          const expected = player.expect(call, group);
          const path = pathOf(call, player.tree.own + group);
          assert.equal(await player.ask(call, path), expected, `${call} ${path}, seed ${seed}`);
          return;
        }
        const foreign = random(3) === 0 ? other.tree.own : other.tree.own + group;
        const path = pathOf(call, foreign);
        const making = call === "mkdir" || call === "symlink" || call === "mknod";
        const expected = making && foreign === other.tree.own ? "EPERM" : "ENOENT";
        assert.equal(await player.ask(call, path), expected, `${call} ${path}, seed ${seed}`);
      };
      const [one, two] = players as [Player, Player];
      const modes = trees.map(({ realOwn }) => statSync(realOwn).mode);
      let calls = 0;
      const endMs = performance.now() + RUN_MS;
      try {
        while (performance.now() < endMs) {
          for (let count = 0; count < ROUND; count++) {
            await Promise.all([step(one, two), step(two, one)]);
            calls += 2;
          }
          for (const [index, { groups, tree, at }] of players.entries()) {
            const real = realGroups(tree.realOwn).toSorted();
            assert.deepEqual(real, [...groups].toSorted(), `seed ${seed}`);
            const members = readFileSync(join(tree.realOwn, at, "cgroup.procs"), "latin1");
            assert.ok(members.trim() !== "", `a process in ${at}, seed ${seed}`);
            assert.equal(statSync(tree.realOwn).mode, modes[index]);
          }
        }
      } finally {
        for (const player of players) await player.end();
      }
      t.diagnostic(`${calls} calls, seed ${seed}`);
      assert.ok(calls >= ROUND);
    });
  }
});
