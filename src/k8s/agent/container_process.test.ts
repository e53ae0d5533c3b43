import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ownProgram } from "./container_process.ts";

/** A directory that is taken for a container's cgroup; what waits in there keeps no process alive. */
async function inCgroup(use: (cgroup: string) => Promise<void>): Promise<void> {
  const cgroup = mkdtempSync(`${tmpdir()}/lxcfs-cgroup-`);
  const alive = setInterval(() => undefined, 1000);
  try {
    await use(cgroup);
  } finally {
    clearInterval(alive);
    rmSync(cgroup, { recursive: true, force: true });
  }
}

describe("a container's own program", () => {
  it("is waited for as long as the container is there, and found in a cgroup below it", () =>
    inCgroup(async (cgroup) => {
      writeFileSync(`${cgroup}/cgroup.procs`, "");
      const waiting = ownProgram(cgroup);
      await sleep(50);
      mkdirSync(`${cgroup}/init.scope`);
      writeFileSync(`${cgroup}/init.scope/cgroup.procs`, `${process.pid}\n`);
      assert.equal(await waiting, process.pid);
    }));

  it("is waited for no longer when the container has gone", () =>
    inCgroup(async (cgroup) => {
      const waiting = ownProgram(cgroup);
      await sleep(20);
      rmSync(cgroup, { recursive: true });
      assert.equal(await waiting, 0);
    }));
});
