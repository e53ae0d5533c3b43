/** What threads of a server know of a container by each other. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fixtureNames } from "../../tools/fixture.ts";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { Machine } from "./machine.ts";
import { CapturedMachine, SETTINGS } from "./testing.ts";

for (const name of fixtureNames()) {
  void test(`${name}: an ended container is as old to a thread that never saw it as to one that did`, () => {
    const captured = new CapturedMachine(name);
    const { fixture, machine, host, clock, history } = captured;
    try {
      machine.idleSeconds();
      for (const [hierarchy, path] of fixture.paths) {
        const file = `${cgroupDirectory(hierarchy, path, fixture.root)}/cgroup.procs`;
        if (existsSync(file)) writeFileSync(file, "");
      }
      const container = captured.open(fixture.paths);
      const other = new Machine(container, host, clock, SETTINGS, history);
      clock.seconds += 5;
      assert.equal(container.leader(), undefined);
      assert.ok(other.hasStarted());
      assert.ok(other.uptimeSeconds() > 5);
      assert.equal(other.uptimeSeconds(), machine.uptimeSeconds());
      container.close();
    } finally {
      captured.remove();
    }
  });
}
