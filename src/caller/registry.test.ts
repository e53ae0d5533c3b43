import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Hierarchy } from "../cgroup/types.ts";
import { openDescriptors } from "../sys/descriptors.ts";
import type { Container } from "./container.ts";
import { ContainerRegistry, type DescriptorBound } from "./registry.ts";

const root = mkdtempSync(join(tmpdir(), "registry-"));
after(() => rmSync(root, { recursive: true }));

const unified: Hierarchy = { version: 2, controllers: [], mountPoint: "/cg", mountRoot: "/" };

/** A directory stands for a cgroup. */
function make(name: string): string {
  mkdirSync(join(root, "cg", name), { recursive: true });
  writeFileSync(join(root, "cg", name, "memory.pressure"), "some avg10=0.00\n");
  return `/${name}`;
}

function registryOf(maxContainers: number, descriptors?: DescriptorBound) {
  const registry = new ContainerRegistry({
    procRoot: "/proc",
    layout: { mode: "v2", hierarchies: [unified] },
    root,
    pageBytes: 4096,
    maxContainers,
    ...(descriptors && { descriptors }),
  });
  const at = (path: string): Container => {
    const container = registry.at(new Map([[unified, path]]), undefined);
    assert.ok(container);
    return container;
  };
  return { registry, at };
}

test("the one unused for longest is forgotten when there are too many", () => {
  const { registry, at } = registryOf(4);
  const paths = ["a", "b", "c", "d"].map((name) => make(name));
  const [a, b] = paths.map(at);
  assert.equal(at("/a"), a, "known");
  at(make("e"));
  assert.equal(registry.size, 4);
  assert.equal(at("/a"), a, "used since");
  assert.notEqual(at("/b"), b, "found anew");
});

test("containers that have ended do not stay", () => {
  const { registry, at } = registryOf(4096);
  for (let i = 0; i < 300; i++) {
    at(make(`short${i}`));
    rmSync(join(root, "cg", `short${i}`), { recursive: true });
  }
  assert.ok(registry.size < 10, `${registry.size} are known`);
});

test("those unused for longest give their descriptors back when there are too many", () => {
  let tooMany = false;
  const { registry, at } = registryOf(4096, { count: () => (tooMany ? 3 : 1), most: () => 1.5 });
  const before = openDescriptors();
  const containers = Array.from({ length: 40 }, (_, i) => at(make(`many${i}`)));
  for (const each of containers) assert.ok(each.cgroups.pressure("memory"));
  assert.equal(openDescriptors() - before, 40);
  tooMany = true;
  at(make("one-more"));
  assert.ok(openDescriptors() - before < 32, "a quarter has been given back");
  assert.equal(registry.size, 41, "none is forgotten");
  assert.ok(containers[0]?.cgroups.pressure("memory"), "and reads on");
  for (const each of containers) each.close();
});
