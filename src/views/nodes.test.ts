/** NUMA nodes: of a machine with two, each container's files agree with its /proc files. */
import assert from "node:assert/strict";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fixtureNames } from "../../tools/fixture.ts";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { hierarchyOf } from "../cgroup/layout.ts";
import { parseKeyedNumbers } from "../host/keyed_numbers.ts";
import { parseMeminfo } from "../host/meminfo.ts";
import { CapturedMachine } from "../machine/testing.ts";
import { rendererOf } from "./testing.ts";
import { childrenOf, itemOf, ROOT } from "./tree.ts";

const PRESENCE = { cpuCount: 4, nodes: [0, 1] };
/** Of each page of file and anonymous memory three in four lie on node 0. */
const SHARE = 0.75;

/** Gives the captured machine a second node, a third as large as the first. */
function withTwoNodes({ fixture }: CapturedMachine): void {
  const directory = `${fixture.sys}/devices/system/node`;
  const change = (path: string, edit: (text: string) => string): void => {
    // Captured files may not be writable.
    const text = readFileSync(path, "latin1");
    rmSync(path);
    writeFileSync(path, edit(text));
  };
  cpSync(`${directory}/node0`, `${directory}/node1`, { recursive: true, verbatimSymlinks: true });
  for (const name of ["online", "possible"]) change(`${directory}/${name}`, () => "0-1\n");
  for (const [node, share] of [SHARE, 1 - SHARE].entries()) {
    change(`${directory}/node${node}/cpulist`, () => (node === 0 ? "0\n" : "1-3\n"));
    change(`${directory}/node${node}/meminfo`, (text) =>
      text
        .replaceAll("Node 0 ", `Node ${node} `)
        .replaceAll(/(\d+) kB/g, (_, kib: string) => `${Math.floor(Number(kib) * share)} kB`),
    );
  }
  const memory = hierarchyOf(fixture.layout.hierarchies, "memory");
  const path = memory && fixture.paths.get(memory);
  const cgroup = memory && path && cgroupDirectory(memory, path, fixture.root);
  assert.ok(cgroup);
  change(`${cgroup}/memory.numa_stat`, (text) =>
    text.replaceAll(/N0=(\d+)/g, (_, pages: string) => {
      const first = Math.floor(Number(pages) * SHARE);
      return `N0=${first} N1=${Number(pages) - first}`;
    }),
  );
  const cpuset = hierarchyOf(fixture.layout.hierarchies, "cpuset");
  const place = cpuset && fixture.paths.get(cpuset);
  const cpusetDirectory = cpuset && place && cgroupDirectory(cpuset, place, fixture.root);
  for (const name of ["cpuset.mems.effective", "cpuset.effective_mems"]) {
    const file = `${cpusetDirectory}/${name}`;
    if (existsSync(file)) change(file, () => "0-1\n");
  }
}

/** Reads files of the mount by their path. */
function reader(captured: CapturedMachine): (path: string) => string {
  const renderer = rendererOf(captured, (error) => assert.fail(String(error)));
  return (path) => {
    let local: number = ROOT;
    for (const name of path.split("/")) {
      const child = childrenOf(local, PRESENCE).find(([each]) => each === name)?.[1];
      assert.ok(child !== undefined, `${path}: no ${name}`);
      local = child;
    }
    assert.equal(itemOf(local)?.kind, "file", path);
    return renderer.text(captured.container, local)?.toString("latin1") ?? "";
  };
}

for (const name of fixtureNames()) {
  void test(`${name}: two nodes together make /proc/meminfo, and each its own vmstat`, () => {
    const captured = new CapturedMachine(name, { cpuPolicy: "none" });
    try {
      withTwoNodes(captured);
      const read = reader(captured);
      const whole = parseMeminfo(read("proc/meminfo"));
      const nodes = [0, 1].map((node) => {
        const text = read(`sys/devices/system/node/node${node}/meminfo`);
        return parseMeminfo(text.replaceAll(`Node ${node} `, ""));
      });
      const together = (field: string): number =>
        nodes.reduce((sum, node) => sum + (node.get(field) ?? Number.NaN), 0);
      for (const field of nodes[0]?.names ?? []) {
        if (/^(?:HugePages|MemUsed|FilePages)/.test(field)) continue;
        // Each is cut off to KiB, and the kernel counts by node at another moment than altogether.
        const off = Math.abs(together(field) - (whole.get(field) ?? Number.NaN));
        assert.ok(off <= 2 + (whole.get(field) ?? 0) * 0.03, `${field}: ${together(field)}, ${whole.get(field)}`); // prettier-ignore
      }
      const total = whole.get("MemTotal") ?? 0;
      assert.ok(Math.abs(together("MemTotal") - total) <= 2);
      assert.ok(Math.abs((nodes[0]?.get("MemTotal") ?? 0) - total * SHARE) <= 2);
      for (const [number, node] of nodes.entries()) {
        const get = (field: string): number => node.get(field) ?? Number.NaN;
        assert.ok(Math.abs(get("MemUsed") + get("MemFree") - get("MemTotal")) <= 1);
        assert.ok(get("AnonPages") > 0);
        const pages = parseKeyedNumbers(read(`sys/devices/system/node/node${number}/vmstat`));
        const page = (line: string): number => (pages.get(line) ?? Number.NaN) * 4;
        assert.ok(Math.abs(page("nr_anon_pages") - get("AnonPages")) <= 4);
        assert.ok(Math.abs(page("nr_file_pages") - get("FilePages")) <= 4);
        assert.ok(Math.abs(page("nr_free_pages") - get("MemFree")) <= 4);
        assert.equal(pages.get("numa_hit") ?? 0, 0);
        assert.match(read(`sys/devices/system/node/node${number}/numastat`), /^numa_hit 0\n/);
      }
      assert.equal(read("sys/devices/system/node/online"), "0-1\n");
      assert.equal(read("sys/devices/system/node/has_cpu"), "0-1\n");
      assert.equal(read("sys/devices/system/node/node0/cpulist"), "0\n");
    } finally {
      captured.remove();
    }
  });
}
