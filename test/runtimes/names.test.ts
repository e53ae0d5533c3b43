/** Two containers of one name, and runtimes that are not there: one line, its own code, nothing half done. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { installed } from "../support/run.ts";
import { serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, busyboxArchive, runBundle } from "./support.ts";

const RUNTIMES = ["runc", "crun"] as const;

void describe("names of containers", { skip: whyNoMachine(...RUNTIMES) }, () => {
  let machine: Machine;

  before(async () => {
    machine = await Machine.start({ hideCgroup2: true });
    await machine.serve(serveCommand());
    busyboxArchive(machine);
    for (const runtime of RUNTIMES) runBundle(machine, runtime);
  });
  after(() => machine?.stop());

  const meminfo = (runtime: string): string =>
    machine.run(`${runtime} exec web head -1 /proc/meminfo`);

  for (const command of [
    "attach",
    "detach",
    "cpu-policy",
    "show meminfo --container",
    "explain meminfo --container",
  ]) {
    void test(`lxcfs ${command} web is refused, and names both`, () => {
      const { status, stdout, stderr } = machine.try(`lxcfs ${command} web`);
      assert.equal(status, 4, stderr);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /^lxcfs \S+: "web" names 2 containers: crun:web, pid \d+ and runc:web, pid \d+; give .*\n$/,
      );
      for (const runtime of RUNTIMES) assertUnlimited(meminfo(runtime));
    });
  }

  void test("one of several that is unknown: none of them is attached", () => {
    const { status, stderr } = machine.try("lxcfs attach runc:web nobody");
    assert.equal(status, 3, stderr);
    assert.match(stderr, /^lxcfs attach: no running container is called "nobody".*\n$/);
    assertUnlimited(meminfo("runc"));
  });

  void test("with the runtime before it, the name is one container's", () => {
    machine.run("lxcfs attach crun:web");
    assertLimited(meminfo("crun"));
    assertUnlimited(meminfo("runc"));
    assertLimited(machine.run("lxcfs show meminfo --container crun:web"));
  });

  const noCrio = !installed("crio");
  void test("a runtime that is not installed", { skip: !noCrio && "CRI-O is installed" }, () => {
    const { status, stderr } = machine.try("lxcfs attach crio:web");
    assert.equal(status, 7, stderr);
    assert.match(stderr, /^lxcfs attach: crio is not installed here .*\n$/);
  });

  void test("a process that is gone", () => {
    const { status, stderr } = machine.try("lxcfs attach 4194303");
    assert.equal(status, 3, stderr);
    assert.match(stderr, /^[^\n]+\n$/);
  });

  void test("no server", () => {
    machine.killServer();
    const { status, stderr } = machine.try("lxcfs attach runc:web");
    assert.equal(status, 6, stderr);
    assert.match(stderr, /^lxcfs attach: no lxcfs is mounted: start one with .*\n$/);
    assertUnlimited(meminfo("runc"));
  });
});
