import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import fc from "fast-check";
import { archiveOf, fixtureNames } from "./fixture.ts";
import { formatTree, parseTree, readTree, type Tree, writeTree } from "./tree_archive.ts";

test("there are captured trees of every cgroup mode", () => {
  const modes = new Set(fixtureNames().map((name) => name.split("-").at(-1)));
  assert.deepEqual([...modes].sort(), ["hybrid", "v1", "v2"]);
});

for (const name of fixtureNames()) {
  test(`${name}: taking apart and putting together changes nothing`, () => {
    const text = archiveOf(name) ?? "";
    assert.equal(formatTree(parseTree(text)), text);
  });

  test(`${name}: the same after it has been files`, (t) => {
    const top = mkdtempSync(`${tmpdir()}/lxcfs-tree-`);
    t.after(() => rmSync(top, { recursive: true, force: true }));
    const text = archiveOf(name) ?? "";
    writeTree(parseTree(text), top);
    assert.equal(formatTree(readTree(top)), text);
  });
}

test("any content and any name survive", () => {
  const path = fc
    .array(fc.string({ minLength: 1, unit: "grapheme" }), { minLength: 1, maxLength: 3 })
    .map((names) => `/${names.map((name) => name.replaceAll("/", "_")).join("/")}`);
  const entry = fc.oneof(
    fc
      .tuple(
        fc.integer({ min: 0, max: 0o7777 }),
        fc.oneof(
          fc.uint8Array(),
          fc.string().map((text) => Buffer.from(text)),
        ),
      )
      .map(([mode, bytes]) => ({ kind: "file" as const, mode, content: Buffer.from(bytes) })),
    fc.integer({ min: 0, max: 0o7777 }).map((mode) => ({ kind: "dir" as const, mode })),
    path.map((target) => ({ kind: "link" as const, target })),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(path, entry)), (entries) => {
      const tree: Tree = new Map(entries);
      const again = parseTree(formatTree(tree));
      assert.deepEqual(again, new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1))));
    }),
  );
});

test("a damaged archive names the line", () => {
  assert.throws(() => parseTree("file 444 1 /a\nx\nnonsense\n"), /line 3 is "nonsense"/);
  assert.throws(() => parseTree("same 444 /a /missing\n"), /line 1/);
});
