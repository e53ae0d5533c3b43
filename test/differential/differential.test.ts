/**
 * This project beside Debian's lxcfs, on the same container at the same moment: every field is
 * equal, or stands in the table of deliberate differences with its reason (`differences.ts`).
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { Container, type ContainerOptions } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { whyNoPeer } from "../support/lab.ts";
import { peerVersion, Server } from "../support/server.ts";
import { DIFFERENCES, type Difference } from "./differences.ts";
import { type Fields, TAKE_APART } from "./fields.ts";

const MIB = 1 << 20;
const V2_ONLY = mountedHierarchies().every(({ version }) => version === 2);
/** Figures move between two reads: a field differs if it does in every one of so many pairs. */
const PAIRS = 12;

const CONTAINERS: Readonly<Record<string, ContainerOptions>> = {
  "without limits": {},
  "with limits of memory and quota": {
    limits: { memoryBytes: 256 * MIB, swapBytes: 64 * MIB, cpuQuotaUs: 150_000 },
  },
  "with one CPU, four cgroups deep": {
    depth: 4,
    limitLevel: 2,
    limits: { memoryBytes: 128 * MIB, cpuset: "0" },
  },
};

void describe(
  `beside lxcfs ${whyNoPeer() === false ? peerVersion() : ""}`,
  { skip: whyNoPeer() },
  () => {
    let ours: Server;
    let peer: Server;
    let directory: string;
    /** Differences that were seen, by position in the table. */
    const seen = new Set<Difference>();

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), "lxcfs-differential-"));
      guardWith(`rm -rf --one-file-system '${directory}'`);
      // No sharing of renderings: each pair is read at one moment.
      ours = await Server.start({ args: ["--freshness", "0"] });
      peer = await Server.start({ kind: "peer" });
    });
    after(async () => {
      await ours?.stop();
      await peer?.stop();
      rmSync(directory, { recursive: true, force: true });
    });

    for (const [title, options] of Object.entries(CONTAINERS)) {
      void describe(`a container ${title}`, () => {
        let container: Container;
        before(async () => {
          container = await Container.start({ ...options, binds: bindBoth() });
        });
        after(() => container?.stop());

        for (const [file, takeApart] of Object.entries(TAKE_APART)) {
          void test(file, () => {
            const different = differing(container, file, takeApart);
            const unexplained: string[] = [];
            for (const [field, [own, its]] of different) {
              const known = DIFFERENCES.find((each) => explains(each, file, field, own, its));
              if (known !== undefined) seen.add(known);
              else unexplained.push(`${field}: ours ${own}, lxcfs ${its}`);
            }
            assert.deepEqual(unexplained, []);
          });
        }
      });
    }

    void test("no difference is listed that is none", () => {
      const idle = DIFFERENCES.filter((each) => isAlways(each) && !seen.has(each));
      assert.deepEqual(idle, []);
    });

    /** Both servers' files, each at a path of its own. */
    function bindBoth(): Map<string, string> {
      const binds = new Map<string, string>();
      for (const server of [ours, peer]) {
        for (const file of Object.keys(TAKE_APART)) {
          const inside = join(directory, server.kind, file);
          mkdirSync(dirname(inside), { recursive: true });
          writeFileSync(inside, "");
          binds.set(inside, join(server.mountpoint, file));
        }
      }
      return binds;
    }

    /** Fields that differ in every comparison, with the values of the last. */
    function differing(
      container: Container,
      file: string,
      takeApart: (text: string) => Fields,
    ): Map<string, Values> {
      // In one process, so that no other work of the container lies between two reads.
      // By 16 KiB: of a larger buffer, such as cat's, lxcfs makes the kernel touch all pages, ours four,
      // and the container has those pages then.
      const read16k = (file: string): string => `dd bs=16k status=none if="${file}"; printf '\\0'`;
      const script = `for i in $(seq ${PAIRS}); do ${read16k("$1")}; ${read16k("$2")}; done`;
      const paths = [join(directory, "ours", file), join(directory, "peer", file)];
      const texts = container.exec(["sh", "-c", script, "sh", ...paths]).split("\0");
      const read = Array.from({ length: 2 * PAIRS }, (_, index) => takeApart(texts[index] ?? ""));
      let different: Map<string, Values> | undefined;
      for (let index = 0; index + 2 < read.length; index += 2) {
        const [own, its, again] = read.slice(index);
        if (own === undefined || its === undefined || again === undefined) break;
        const names = different?.keys() ?? new Set([...own.keys(), ...its.keys()]);
        different = new Map(
          [...names]
            .filter((name) => !agree(own.get(name), its.get(name), again.get(name)))
            .map((name) => [name, [own.get(name), its.get(name)]]),
        );
      }
      return different ?? new Map<string, Values>();
    }
  },
);

/** Ours and the peer's value of one field; undefined where it is missing. */
type Values = readonly [string | undefined, string | undefined];

/** Equal, or a moving figure: the peer's lies between ours before and ours after it. */
function agree(
  own: string | undefined,
  its: string | undefined,
  again: string | undefined,
): boolean {
  if (own === its) return true;
  const [low, between, high] = [own, its, again].map((value) => Number.parseFloat(value ?? ""));
  if (low === undefined || between === undefined || high === undefined) return false;
  return Math.min(low, high) <= between && between <= Math.max(low, high);
}

function isAlways({ always }: Difference): boolean {
  return always === "v1" ? !V2_ONLY : always === true;
}

function explains(
  difference: Difference,
  file: string,
  field: string,
  own: string | undefined,
  its: string | undefined,
): boolean {
  if (difference.file !== file || !difference.field.test(field)) return false;
  if (difference.on !== undefined && (difference.on === "v2") !== V2_ONLY) return false;
  return difference.holds === undefined || difference.holds(own, its);
}
