import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMountinfo } from "../host/mountinfo.ts";
import { cgroupMountsOf, rootsOf } from "./own_mounts.ts";

const memory = { version: 1, controllers: ["memory"], mountPoint: "/m", mountRoot: "/" } as const;
const unified = { version: 2, controllers: ["cpu"], mountPoint: "/u", mountRoot: "/" } as const;

/** Roots of the memory hierarchy, from lines of mountinfo: seen, and writable. */
function roots(...lines: string[]): [string, string] {
  const found = rootsOf(cgroupMountsOf(parseMountinfo(lines.join("\n"))), memory);
  return [found.seen.join(" "), found.writable.join(" ")];
}

const ROOT = "20 1 8:1 / / rw - ext4 /dev/vda rw";
const TMPFS = "30 20 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw";
const OWN = "31 30 0:31 /c1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";

test("a mount of the own part", () => {
  assert.deepEqual(roots(ROOT, TMPFS, OWN), ["/c1", "/c1"]);
});

test("one that is read-only, by the mount or by the filesystem, gives no right to write", () => {
  assert.deepEqual(roots(ROOT, TMPFS, OWN.replace(" rw -", " ro,nosuid -")), ["/c1", ""]);
  assert.deepEqual(roots(ROOT, TMPFS, OWN.replace("cgroup rw,", "cgroup ro,")), ["/c1", ""]);
});

test("one that something is mounted over is out of reach", () => {
  const over = (id: number, parent: number, point: string): string =>
    `${id} ${parent} 0:${id} / ${point} rw - tmpfs tmpfs rw`;
  // On the mount itself.
  assert.deepEqual(roots(ROOT, TMPFS, OWN, over(40, 31, "/sys/fs/cgroup/memory")), ["/c1", ""]);
  // On the filesystem that it is mounted in.
  assert.deepEqual(roots(ROOT, TMPFS, OWN, over(40, 30, "/sys/fs/cgroup")), ["/c1", ""]);
  // On a directory above.
  assert.deepEqual(roots(ROOT, TMPFS, OWN, over(40, 20, "/sys")), ["/c1", ""]);
  assert.deepEqual(roots(ROOT, TMPFS, OWN, over(40, 20, "/")), ["/c1", ""]);
  // Beside, below, or with a name that begins alike: nothing is covered.
  for (const point of ["/sys/fs/cgroup/mem", "/sys/fs/cgroup/memory/below", "/proc"]) {
    assert.deepEqual(roots(ROOT, TMPFS, OWN, over(40, 30, point)), ["/c1", "/c1"], point);
  }
});

test("what covers an outer one may itself be the own part", () => {
  const outer = OWN.replace("/c1", "/outer");
  const inner = "32 31 0:31 /outer/c1 /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory";
  assert.deepEqual(roots(ROOT, TMPFS, outer, inner), ["/outer /outer/c1", "/outer/c1"]);
});

test("each hierarchy by its own name", () => {
  const v2 = "33 30 0:33 /c2 /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate";
  const mounts = cgroupMountsOf(parseMountinfo([ROOT, TMPFS, OWN, v2].join("\n")));
  assert.deepEqual(rootsOf(mounts, unified).writable, ["/c2"]);
  assert.deepEqual(rootsOf(mounts, memory).writable, ["/c1"]);
});

test("what the server itself sees is nobody's part, wherever its own mounts begin", () => {
  const mounts = cgroupMountsOf(parseMountinfo([ROOT, TMPFS, OWN].join("\n")));
  assert.deepEqual(rootsOf(mounts, { ...memory, mountRoot: "/c1" }), { seen: [], writable: [] });
});
