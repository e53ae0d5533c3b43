/**
 * The container's cgroups fail in the middle of one rendering: from the k-th read on, for every k, its
 * files are gone, empty, junk, or zeros. Every file still has a text, and no number in it is nonsense.
 */
import assert from "node:assert/strict";
import { test, mock } from "node:test";
import { fixtureNames } from "../../tools/fixture.ts";
import { parseStat } from "../host/stat.ts";
import { CapturedMachine } from "../machine/testing.ts";
import { HeldFile } from "../sys/held_file.ts";
import { rendererOf } from "./testing.ts";
import { childrenOf, itemOf, ROOT } from "./tree.ts";

const PRESENCE = { cpuCount: 1, nodes: [0] };
const MAY_BE_EMPTY = new Set(["proc/diskstats", "proc/partitions"]);
const STAT = 33;

/** What becomes of a file's text. */
const DAMAGES: Readonly<Record<string, (text: string) => string | undefined>> = {
  gone: () => undefined,
  empty: () => "",
  junk: () => "junk\n",
  "set back": (text) => text.replaceAll(/\d+/g, "0"),
  huge: (text) => text.replaceAll(/\b\d+\b/g, "9".repeat(19)),
};

/** Of the many files of single CPUs, which are all made in one way, one list is enough. */
const LOOKED_AT = /^(?:proc\/|sys\/devices\/system\/(?:node\/|cpu\/[a-z]+$|.*core_cpus_list))/;

/** Numbers of the files to look at. */
function fileNumbers(): number[] {
  const found: number[] = [];
  const pending: number[] = [ROOT];
  for (let local = pending.pop(); local !== undefined; local = pending.pop()) {
    for (const [, child] of childrenOf(local, PRESENCE)) {
      const item = itemOf(child);
      if (item?.kind === "directory") pending.push(child);
      else if (item?.kind === "file" && LOOKED_AT.test(item.path)) found.push(child);
    }
  }
  return found;
}

/** Damages what is read of cgroups from the k-th read on, and once only where `once`. */
class Damage {
  reads = 0;
  from = Infinity;
  once = false;
  change: (text: string) => string | undefined = (text) => text;

  constructor(root: string) {
    const own = `${root}/sys/fs/cgroup/`;
    const read = Object.getOwnPropertyDescriptor(HeldFile.prototype, "read")?.value as (
      this: HeldFile,
    ) => string | undefined;
    const apply = (text: string | undefined): string | undefined => this.#apply(text);
    mock.method(HeldFile.prototype, "read", function (this: HeldFile): string | undefined {
      const text = read.call(this);
      return this.path.startsWith(own) ? apply(text) : text;
    });
  }

  #apply(text: string | undefined): string | undefined {
    const number = this.reads++;
    const hit = this.once ? number === this.from : number >= this.from;
    return hit && text !== undefined ? this.change(text) : text;
  }
}

for (const name of fixtureNames()) {
  void test(`${name}: a cgroup that fails within a rendering`, () => {
    const captured = new CapturedMachine(name);
    const errors: unknown[] = [];
    const renderer = rendererOf(captured, (error) => errors.push(error));
    const damage = new Damage(captured.fixture.root);
    let renderings = 0;
    let last: readonly number[] = [];
    const look = (local: number, what: string): void => {
      damage.reads = 0;
      const path = itemOf(local)?.path ?? "";
      captured.clock.seconds += 0.25;
      const text = renderer.text(captured.container, local)?.toString("latin1");
      renderings++;
      if (text === undefined) return; // neither here nor on the host
      if (!MAY_BE_EMPTY.has(path)) assert.notEqual(text, "", `${path} ${what}`);
      if (text === renderer.text(undefined, local)?.toString("latin1")) return;
      assert.doesNotMatch(text, /NaN|undefined|Infinity|(?<![\w-])-\d|e\+/, `${path} ${what}`);
      if (local !== STAT) return;
      const { totalTicks } = parseStat(text);
      for (const [column, ticks] of totalTicks.entries()) {
        assert.ok(ticks >= (last[column] ?? 0), `column ${column} ${what}`);
      }
      last = totalTicks;
    };
    try {
      for (const local of fileNumbers()) {
        look(local, "undamaged");
        const { reads } = damage;
        for (const [kind, change] of Object.entries(DAMAGES)) {
          damage.change = change;
          for (const once of [true, false]) {
            damage.once = once;
            for (let from = 0; from < reads; from++) {
              damage.from = from;
              look(local, `${kind} ${once ? "at" : "from"} read ${from}`);
            }
          }
        }
        damage.from = Infinity;
      }
      assert.deepEqual(errors, []);
      assert.ok(renderings > 1000, `${renderings} renderings`);
    } finally {
      mock.restoreAll();
      captured.remove();
    }
  });
}
