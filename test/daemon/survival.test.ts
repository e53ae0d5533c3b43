/** What readers notice when processes of the daemon die or are replaced: nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pidfdGetfd, pidfdOpen } from "../../src/sys/native.ts";
import { lxcfsCommand, projectRoot } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { sleepSync, waitFor } from "../support/wait.ts";
import { statusOf, statusWhen } from "./control.ts";
import { Readers } from "./readers.ts";

const meminfo = (server: Server): string => join(server.mountpoint, "proc/meminfo");
const pidfile = (server: Server): string => join(server.directory, "lxcfs.pid");

/**
 * The child that serves, as the kernel knows it: quicker than asking for the status. The holder's
 * other child is a `sleep`, while it gives a server time that died before it served.
 */
function serverPidOf(holderPid: number): number | undefined {
  const children = readFileSync(`/proc/${holderPid}/task/${holderPid}/children`, "latin1");
  return children.trim().split(" ").filter(Boolean).map(Number).find(isServer);
}

function isServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("\0serve\0");
  } catch {
    return false;
  }
}

void test("the server is killed 20 times under load, and no read fails", async () => {
  const server = await Server.start();
  try {
    const before = statusOf(server);
    const readers = new Readers(meminfo(server), 3);
    let slowestMs = 0;
    for (let i = 0; i < 20; i++) {
      const victim = await waitFor("a server", () => serverPidOf(before.holderPid));
      // At any moment of its life: sometimes before it has begun to serve.
      sleepSync(i % 4 === 3 ? 40 : 300 + 37 * (i % 5));
      process.kill(victim, "SIGKILL");
      const killedMs = performance.now();
      readFileSync(meminfo(server));
      if (i % 4 !== 3) slowestMs = Math.max(slowestMs, performance.now() - killedMs);
    }
    const seen = await readers.end();
    assert.deepEqual(seen.failures, []);
    assert.ok(seen.reads > 500, `only ${seen.reads} reads`);
    const after = statusOf(server);
    assert.equal(after.holderPid, before.holderPid);
    assert.notEqual(after.serverPid, before.serverPid);
    assert.ok(after.restarts >= 10, `${after.restarts} restarts`);
    console.log(`slowest read across a kill: ${slowestMs.toFixed(0)} ms, ${after.replays} replays`);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("upgrades under load fail and delay no read", async () => {
  const server = await Server.start();
  try {
    const readers = new Readers(meminfo(server), 3);
    sleepSync(200);
    for (let i = 1; i <= 4; i++) {
      if (i % 2 === 0) {
        process.kill(server.process.pid ?? 0, "SIGUSR1");
        await statusWhen(server, "an upgrade", (status) => status.upgrades === i);
      } else {
        const said = run([
          lxcfsCommand,
          "upgrade",
          server.mountpoint,
          "--runtime-dir",
          join(server.directory, "run"),
        ]);
        assert.match(said, /^upgraded .* from \S+ \(process \d+\) to \S+ \(process \d+\)$/m);
      }
    }
    const seen = await readers.end();
    assert.deepEqual(seen.failures, []);
    assert.ok(seen.slowestMs < 250, `a read took ${seen.slowestMs.toFixed(0)} ms`);
    const status = statusOf(server);
    assert.equal(status.upgrades, 4);
    assert.equal(status.restarts, 0);
    await waitFor("one server is left", () => server.pids().length === 2);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("an upgrade right after the server was killed waits for the next one", async () => {
  const server = await Server.start();
  try {
    process.kill(statusOf(server).serverPid, "SIGKILL");
    const runtimeDir = join(server.directory, "run");
    const said = run([lxcfsCommand, "upgrade", server.mountpoint, "--runtime-dir", runtimeDir]);
    assert.match(said, /^upgraded /);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("an upgrade whose new version is broken leaves the old one serving, whose files may be gone", async () => {
  const installed = mkdtempSync(join(tmpdir(), "lxcfs-installed-"));
  for (const name of ["bin", "dist/bundle", "package.json"]) {
    cpSync(join(projectRoot, name), join(installed, name), { recursive: true });
  }
  symlinkSync(join(projectRoot, "node_modules"), join(installed, "node_modules"));
  const server = await Server.start({ command: join(installed, "bin/lxcfs") });
  const upgrade = [
    lxcfsCommand,
    "upgrade",
    server.mountpoint,
    "--runtime-dir",
    join(server.directory, "run"),
  ];
  try {
    const before = statusOf(server);
    const readers = new Readers(meminfo(server), 2);
    // A version that renders something else.
    const worker = join(installed, "dist/bundle/daemon/worker.js");
    const text = readFileSync(worker, "utf8");
    const broken = text.replace(
      /^function createFilesystem\(.*$/m,
      "$& return { operations: { lookup() { throw new Error('broken build'); } } };",
    );
    assert.notEqual(broken, text);
    writeFileSync(worker, broken);
    const failed = tryRun(upgrade);
    assert.equal(failed.status, 1);
    assert.match(failed.stderr, /Cannot upgrade .*Self-test failed.*goes on serving/);
    await waitFor("the log says so", () => server.output.includes("error: the upgrade failed"));
    assert.equal(statusOf(server).serverPid, before.serverPid);
    assert.match(statusOf(server).upgradeError, /Self-test failed/);

    // A version that is not even a program.
    rmSync(join(installed, "dist"), { recursive: true });
    const missing = tryRun(upgrade);
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /Cannot upgrade .*goes on serving/);
    assert.equal(statusOf(server).serverPid, before.serverPid);

    // A good one, at the same place.
    cpSync(join(projectRoot, "dist/bundle"), join(installed, "dist/bundle"), { recursive: true });
    writeFileSync(
      join(installed, "package.json"),
      JSON.stringify({
        ...JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")),
        version: "9.9.9",
      }),
    );
    assert.match(run(upgrade), /to 9\.9\.9 /);
    assert.equal(statusOf(server).version, "9.9.9");
    assert.equal(statusOf(server).upgradeError, "");
    const seen = await readers.end();
    assert.deepEqual(seen.failures, []);
    await server.stop();
  } finally {
    server.kill();
    rmSync(installed, { recursive: true, force: true });
  }
});

void test("the holder is killed: the server gives itself another, and no read fails", async () => {
  const server = await Server.start();
  try {
    const before = statusOf(server);
    const readers = new Readers(meminfo(server), 2);
    process.kill(before.holderPid, "SIGKILL");
    const after = await statusWhen(
      server,
      "another holder",
      (status) => status.holderPid !== before.holderPid && status.holderAlive,
    );
    assert.equal(readFileSync(pidfile(server), "utf8"), `${after.holderPid}\n`);
    // The new holder does its work.
    process.kill(after.serverPid, "SIGKILL");
    const restarted = await statusWhen(
      server,
      "another server",
      (status) => status.serverPid !== after.serverPid,
    );
    assert.equal(restarted.holderPid, after.holderPid);
    const seen = await readers.end();
    assert.deepEqual(seen.failures, []);
    process.kill(after.holderPid, "SIGTERM");
    await waitFor("all is gone", () => server.pids().length === 0);
    assert.deepEqual(server.left(), []);
  } finally {
    server.kill();
  }
});

void test("the holder is killed and lxcfs started again, as a supervisor does: it adopts the server", async () => {
  const server = await Server.start();
  try {
    const before = statusOf(server);
    const readers = new Readers(meminfo(server), 2);
    process.kill(before.holderPid, "SIGKILL");
    await waitFor("the holder has gone", () => server.process.signalCode !== null);
    const again = startAgain(server);
    const after = await statusWhen(
      server,
      "adopted",
      (status) => status.holderPid === again.pid && status.holderAlive,
    );
    assert.equal(after.startTime, before.startTime);
    const seen = await readers.end();
    assert.deepEqual(seen.failures, []);
    // The relieved server does not start a holder of its own any more.
    sleepSync(2000);
    assert.equal(statusOf(server).holderPid, again.pid);
    again.kill("SIGTERM");
    await waitFor("all is gone", () => server.pids().length === 0);
    assert.deepEqual(server.left(), []);
  } finally {
    server.kill();
  }
});

void test("holder and server are killed: the next start replaces the dead mount", async () => {
  const server = await Server.start();
  try {
    const before = statusOf(server);
    process.kill(before.holderPid, "SIGKILL");
    process.kill(before.serverPid, "SIGKILL");
    await waitFor("the mount is dead", () => !server.answersNow());
    assert.throws(() => readFileSync(meminfo(server)), { code: "ENOTCONN" });
    const again = startAgain(server);
    await waitFor("it answers again", () => server.answersNow());
    assert.equal(statusOf(server).holderPid, again.pid);
    again.kill("SIGTERM");
    await waitFor("all is gone", () => server.pids().length === 0);
    assert.deepEqual(server.left(), []);
  } finally {
    server.kill();
  }
});

void test("both are dead, but not their descriptors: the next start ends the connection", async () => {
  const server = await Server.start();
  let fd = -1;
  try {
    const { holderPid, serverPid, fuseFd } = statusOf(server);
    // As a thread of theirs would that waits in the kernel for what nobody will answer.
    fd = pidfdGetfd(pidfdOpen(holderPid), fuseFd);
    process.kill(holderPid, "SIGKILL");
    process.kill(serverPid, "SIGKILL");
    const reader = spawn("cat", [meminfo(server)], { stdio: "ignore" });
    const again = startAgain(server);
    const [code] = (await once(reader, "exit")) as [number];
    assert.equal(code, 1);
    await waitFor("it answers again", () => again.exitCode !== null || server.answersNow());
    assert.equal(statusOf(server).holderPid, again.pid);
    again.kill("SIGTERM");
    await waitFor("all is gone", () => server.pids().length === 0);
    assert.deepEqual(server.left(), []);
  } finally {
    if (fd >= 0) closeSync(fd);
    server.kill();
  }
});

/** The same command on the same mountpoint. */
function startAgain(server: Server): ReturnType<typeof spawn> {
  return spawn(
    lxcfsCommand,
    ["-p", pidfile(server), "--runtime-dir", join(server.directory, "run"), server.mountpoint],
    { stdio: "ignore" },
  );
}
