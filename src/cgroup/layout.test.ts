import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import fc from "fast-check";
import { TOP } from "../../tools/capture/plan.ts";
import { fixtureNames, unpackFixture } from "../../tools/fixture.ts";
import { ParseError } from "../host/parse_error.ts";
import { detectLayout, hierarchyOf } from "./layout.ts";
import { cgroupDirectory, cgroupId, cgroupLevels, cgroupPaths } from "./paths.ts";
import type { Hierarchy } from "./types.ts";

const isRead = (path: string): boolean => /\/(?:mountinfo|cgroup|comm)$/.test(path);
const fixtures = fixtureNames().map((name) => unpackFixture(name, isRead));
after(() => fixtures.forEach((fixture) => fixture.remove()));

const LEAF = `/${TOP}/outer/inner/leaf`;

for (const { name, mode, root, layout, paths } of fixtures) {
  test(`${name}: mode, and the container in every hierarchy`, () => {
    assert.ok(name.endsWith(`-${mode}`));
    assert.equal(paths.size, layout.hierarchies.length);
    for (const path of paths.values()) assert.equal(path, LEAF);
    const memory = hierarchyOf(layout.hierarchies, "memory");
    assert.equal(memory?.version, mode === "v2" ? 2 : 1);
  });

  test(`${name}: from inside of a cgroup namespace`, () => {
    const text = (path: string): string => readFileSync(`${root}/inside${path}`, "latin1");
    const inside = detectLayout(text("/proc/self/mountinfo"));
    assert.equal(inside.mode, mode);
    const own = cgroupPaths(inside, text("/proc/self/cgroup"));
    const init = cgroupPaths(inside, text("/proc/1/cgroup"));
    for (const hierarchy of inside.hierarchies) {
      assert.equal(hierarchy.mountRoot, "/../../../..");
      // Between the mount's root and the own cgroup are names that nobody tells.
      assert.equal(cgroupDirectory(hierarchy, own.get(hierarchy) ?? ""), undefined);
      const directory = cgroupDirectory(hierarchy, init.get(hierarchy) ?? "") ?? "";
      assert.ok([hierarchy.mountPoint, `${hierarchy.mountPoint}/init.scope`].includes(directory));
    }
  });
}

const line = (mountPoint: string, type: string, options: string, mountRoot = "/"): string =>
  `35 31 0:32 ${mountRoot} ${mountPoint} rw - ${type} ${type} rw${options}\n`;

test("modes", () => {
  const v2 = line("/sys/fs/cgroup", "cgroup2", "");
  const named = line("/sys/fs/cgroup/systemd", "cgroup", ",xattr,name=systemd");
  const memory = line("/sys/fs/cgroup/memory", "cgroup", ",memory");
  assert.equal(detectLayout("").mode, "none");
  assert.equal(detectLayout(v2).mode, "v2");
  assert.equal(detectLayout(v2 + named).mode, "v2");
  assert.equal(detectLayout(v2 + named + memory).mode, "hybrid");
  assert.equal(detectLayout(named + memory).mode, "v1");
});

test("controllers by their options, whatever the directory is called", () => {
  const { hierarchies } = detectLayout(
    line("/odd/place", "cgroup", ",xattr,clone_children,release_agent=/sbin/cpu,cpuacct,cpu"),
  );
  assert.deepEqual(hierarchies[0]?.controllers, ["cpuacct", "cpu"]);
  const [path] = cgroupPaths(
    { mode: "v1", hierarchies },
    "2:cpu,cpuacct:/x\n9:memory:/y\n0::/z\n",
  ).values();
  assert.equal(path, "/x");
});

test("of several mounts of a hierarchy the one that shows most", () => {
  const part = line("/sys/fs/cgroup/memory", "cgroup", ",memory", "/docker/abc");
  const whole = line("/run/all", "cgroup", ",memory");
  assert.equal(detectLayout(part + whole).hierarchies[0]?.mountPoint, "/run/all");
  const outside = line("/host/cgroup", "cgroup2", "", "/../..");
  const own = line("/sys/fs/cgroup", "cgroup2", "");
  assert.equal(detectLayout(own + outside).hierarchies[0]?.mountPoint, "/host/cgroup");
  const covering = line("/sys/fs/cgroup", "tmpfs", "");
  assert.equal(detectLayout(own + covering).mode, "none");
});

test("directories of a mount that shows a part", () => {
  const hierarchy = (mountRoot: string): Hierarchy => ({
    version: 2,
    controllers: [],
    mountPoint: "/m",
    mountRoot,
  });
  const directory = (mountRoot: string, path: string): string | undefined =>
    cgroupDirectory(hierarchy(mountRoot), path);
  assert.equal(directory("/", "/"), "/m");
  assert.equal(directory("/", "/a/b"), "/m/a/b");
  assert.equal(directory("/docker", "/docker/a"), "/m/a");
  assert.equal(directory("/docker", "/docker"), "/m");
  assert.equal(directory("/docker", "/dockerish"), undefined);
  assert.equal(directory("/docker", "/other"), undefined);
  assert.equal(directory("/../..", "/../../a"), "/m/a");
  assert.equal(directory("/", "/../a"), undefined);
  assert.equal(directory("/..", "/../../a"), undefined);
  assert.equal(directory("/", "/a/../../etc"), undefined);
  assert.deepEqual(cgroupLevels(hierarchy("/docker"), "/docker/a/b", "/r"), [
    "/r/m/a/b",
    "/r/m/a",
    "/r/m",
  ]);
  assert.deepEqual(cgroupLevels(hierarchy("/docker"), "/x"), []);
  assert.equal(cgroupId(hierarchy("/"), "/missing"), undefined);
});

test("no path leads out of the mount", () => {
  const path = fc
    .array(fc.constantFrom("..", ".", "", "a", "b"), { maxLength: 6 })
    .map((names) => `/${names.join("/")}`);
  fc.assert(
    fc.property(path, path, (mountRoot, wanted) => {
      const hierarchy = { version: 2, controllers: [], mountPoint: "/m", mountRoot } as const;
      const directory = cgroupDirectory(hierarchy, wanted);
      assert.ok(directory === undefined || /^\/m(?:\/[ab])*$/.test(directory), directory);
    }),
  );
});

test("any text gives a layout or a ParseError", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const parse of [detectLayout, (each: string) => cgroupPaths(detectLayout(""), each)]) {
        try {
          parse(text);
        } catch (error) {
          if (!(error instanceof ParseError)) throw error;
        }
      }
    }),
  );
});
