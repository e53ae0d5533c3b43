/** A server that was killed and cannot end: the holder is told to start another beside it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { CgroupTree } from "../support/cgroup_tree.ts";
import { Server } from "../support/server.ts";
import { patient, waitFor } from "../support/wait.ts";
import { statusOf, statusWhen } from "./control.ts";

/** v1's freezer keeps even SIGKILL waiting; v2's lets it through, and such a server ends. */
const cgroups = new CgroupTree(`lxcfs-cannot-end-${process.pid}`);
const freezer = cgroups.file("freezer.state");

void test(
  "a killed server that cannot end is relieved by SIGUSR1 to the holder",
  { skip: freezer === undefined && "needs the v1 freezer mounted" },
  async () => {
    const state = freezer ?? "";
    const server = await Server.start();
    try {
      const before = statusOf(server);
      writeFileSync(join(dirname(state), "cgroup.procs"), String(before.serverPid));
      writeFileSync(state, "FROZEN");
      await waitFor("it is frozen", () => readFileSync(state, "utf8").trim() === "FROZEN");
      process.kill(before.serverPid, "SIGKILL");
      const reader = spawn("cat", [join(server.mountpoint, "proc/meminfo")]);
      const ended = once(reader, "exit", { signal: AbortSignal.timeout(patient(15_000)) });
      process.kill(before.holderPid, "SIGUSR1");
      const [code] = (await ended) as [number | null];
      assert.equal(code, 0);
      const after = await statusWhen(server, "another serves", ({ upgrades }) => upgrades === 1);
      assert.equal(after.holderPid, before.holderPid);
      assert.notEqual(after.serverPid, before.serverPid);
    } finally {
      writeFileSync(state, "THAWED");
      server.kill();
      cgroups.remove();
    }
  },
);
