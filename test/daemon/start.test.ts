/** Starting and ending: what is refused and how, what is left behind, what signals do. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { lxcfsCommand } from "../support/project.ts";
import { type Result, run, tryRun } from "../support/run.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { statusOf, statusWhen } from "./control.ts";

let directory = "";

before(() => {
  directory = mkdtempSync(join(tmpdir(), "lxcfs-start-"));
  guardWith(`umount -l '${directory}'/*; rm -rf --one-file-system '${directory}'`);
  for (const name of ["mnt", "run"]) mkdirSync(join(directory, name));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the command with its runtime directory here; it must end by itself. */
function lxcfs(...args: string[]): Result {
  const known = args.includes("--runtime-dir") ? [] : ["--runtime-dir", join(directory, "run")];
  return tryRun([lxcfsCommand, ...known, ...args]);
}

/** One line on stderr, exit code 1 as LXCFS has it, nothing mounted. */
function assertRefused(result: Result, line: RegExp): void {
  assert.match(result.stderr, line);
  assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
  assert.equal(result.status, 1);
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(directory), false);
}

const mnt = (): string => join(directory, "mnt");

void test("what is wrong with the command line is said in one line", () => {
  assertRefused(lxcfs(), /mountpoint is missing/);
  assertRefused(lxcfs(mnt(), mnt()), /one mountpoint is expected, found 2/);
  assertRefused(lxcfs("--bogus", mnt()), /Unknown option '--bogus'/);
  assertRefused(lxcfs("-x", mnt()), /Unknown option '-x'/);
  assertRefused(lxcfs(mnt(), "-p"), /-p.* argument/);
  assertRefused(lxcfs("-d", "-f", mnt()), /both --debug and --foreground/);
  assertRefused(lxcfs("--workers", "many", mnt()), /--workers takes a number .*found "many"/);
  assertRefused(lxcfs("--cpu-policy", "all", mnt()), /one of cpuset, quota, none, found "all"/);
  assertRefused(lxcfs("-o", "frobnicate", mnt()), /-o frobnicate: no such mount option/);
});

void test("a runtime directory that cannot be made is refused, in /proc too", () => {
  // Node.js's own recursive mkdir never comes back from there.
  assertRefused(lxcfs("--runtime-dir", "/proc/none", mnt()), /Cannot create \/proc\/none: ENOENT/);
  const below = lxcfs("--runtime-dir", "/etc/passwd/none", mnt());
  assertRefused(below, /Cannot create \/etc\/passwd\/none: ENOTDIR; choose another --runtime-dir/);
});

void test("help and version end as LXCFS's do", () => {
  const help = lxcfs("--help");
  assert.equal(help.status, 1);
  for (const option of ["-d, --debug", "--enable-psi-poll", "--runtime-dir", "lxcfs status"]) {
    assert.ok(help.stdout.includes(option), option);
  }
  assert.equal(lxcfs("-h").stdout, help.stdout);
  const version = lxcfs("--version");
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^"\d+\.\d+\.\d+"\n$/);
});

void test("a mountpoint that cannot be mounted on is refused", () => {
  assertRefused(lxcfs(join(directory, "none")), /no such directory; make it with "mkdir -p/);
  const file = join(directory, "file");
  writeFileSync(file, "");
  assertRefused(lxcfs(file), /it is not a directory/);
});

void test("only root may mount", () => {
  // The right to read, so that it finds its own program wherever that lies.
  const user = ["setpriv", "--reuid=65534", "--clear-groups"];
  const read = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
  assertRefused(tryRun([...user, ...read, lxcfsCommand, mnt()]), /needs root/);
});

void test("without /dev/fuse the start says what to do", () => {
  const script = `mount -t tmpfs none /dev && exec "$0" --runtime-dir "$1" "$2"`;
  const result = tryRun([
    "unshare",
    "-m",
    "sh",
    "-c",
    script,
    lxcfsCommand,
    join(directory, "run"),
    mnt(),
  ]);
  assertRefused(result, /Cannot open \/dev\/fuse: ENOENT.*modprobe fuse/);
});

void test("a pidfile that cannot be written is named", () => {
  assertRefused(lxcfs("-p", join(directory, "no/such/dir"), mnt()), /pidfile .*ENOENT/);
  // A full filesystem: the pidfile's one page does not fit.
  const full = join(directory, "full");
  mkdirSync(full);
  run(["mount", "-t", "tmpfs", "-o", "nr_blocks=1", "none", full]);
  try {
    run(["sh", "-c", `head -c 65536 /dev/zero > "$1" 2>/dev/null || true`, "sh", join(full, "x")]);
    const result = lxcfs("-p", join(full, "lxcfs.pid"), mnt());
    assert.match(result.stderr, /Cannot write the pidfile .*ENOSPC/);
    assert.equal(result.status, 1);
  } finally {
    run(["umount", full]);
  }
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(directory), false);
});

void test("a second start is refused, by pidfile and by mountpoint, and harms nothing", async () => {
  const server = await Server.start();
  try {
    const runtimeDir = join(server.directory, "run");
    const pidfile = join(server.directory, "lxcfs.pid");
    const samePidfile = tryRun([lxcfsCommand, "--runtime-dir", runtimeDir, "-p", pidfile, mnt()]);
    assertRefused(samePidfile, new RegExp(`locked by .* process ${server.process.pid};`));
    const sameMount = tryRun([lxcfsCommand, "--runtime-dir", runtimeDir, server.mountpoint]);
    assert.match(sameMount.stderr, /a live lxcfs \(process \d+, version .*\) serves it already/);
    assert.equal(sameMount.status, 1);
    assert.equal(readFileSync(pidfile, "utf8"), `${server.process.pid}\n`);
    assert.ok(server.answersNow());
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("a mountpoint given by a link is the one behind it", async () => {
  const server = await Server.start();
  const link = join(directory, "link");
  symlinkSync(server.mountpoint, link);
  try {
    const runtimeDir = join(server.directory, "run");
    const second = tryRun([lxcfsCommand, "--runtime-dir", runtimeDir, link]);
    assert.match(second.stderr, /a live lxcfs \(process \d+, version .*\) serves it already/);
    const status = run([lxcfsCommand, "status", link, "--runtime-dir", runtimeDir]);
    assert.ok(status.includes(server.mountpoint), status);
    await server.stop();
  } finally {
    server.kill();
    unlinkSync(link);
  }
});

void test("with --debug every request is logged, with who asks and what was answered", async () => {
  const server = await Server.start({ kind: "ours", args: [] });
  assert.doesNotMatch(server.output, /debug/);
  await server.stop();
  const child = spawn(
    lxcfsCommand,
    ["--debug", "--runtime-dir", join(directory, "run"), "-p", join(directory, "debug.pid"), mnt()],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  try {
    await waitFor("it serves", () => existsSync(join(mnt(), "proc/uptime")));
    const bytes = readFileSync(join(mnt(), "proc/uptime")).length;
    assert.equal(existsSync(join(mnt(), "nothing")), false);
    const thread = String(process.pid);
    await waitFor("both requests in the log", () =>
      [`READ connection=main node=\\d+ thread=${thread} bytes=${bytes}`, "LOOKUP .* error=ENOENT"]
        .map((line) => new RegExp(`^lxcfs: debug: ${line}$`, "m"))
        .every((line) => line.test(said)),
    );
  } finally {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  assert.equal(child.exitCode, 0);
});

void test("two starts at once: one serves, the other is refused", async () => {
  const pidfile = join(directory, "two.pid");
  const start = (): { process: ReturnType<typeof spawn>; said: () => string } => {
    let text = "";
    const child = spawn(
      lxcfsCommand,
      ["--runtime-dir", join(directory, "run"), "-p", pidfile, mnt()],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    return { process: child, said: () => text };
  };
  const both = [start(), start()];
  try {
    await waitFor("one ends", () => both.some(({ process }) => process.exitCode !== null));
    const loser = both.find(({ process }) => process.exitCode !== null);
    const winner = both.find(({ process }) => process.exitCode === null);
    assert.match(loser?.said() ?? "", /is locked by|serves it already/);
    await waitFor("the other serves", () => existsSync(join(mnt(), "proc/meminfo")));
    winner?.process.kill("SIGTERM");
    if (winner) await once(winner.process, "exit");
  } finally {
    for (const { process } of both) process.kill("SIGTERM");
  }
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(directory), false);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  void test(`${signal} unmounts and ends with 0`, async () => {
    const server = await Server.start();
    try {
      const pidfile = join(server.directory, "lxcfs.pid");
      const { mountpoint } = server;
      assert.match(run(["findmnt", "-no", "FSTYPE", mountpoint]), /^fuse\.lxcfs$/m);
      assert.ok(existsSync(pidfile));
      server.process.kill(signal);
      await once(server.process, "exit");
      assert.equal(server.process.exitCode, 0);
      assert.deepEqual(server.left(), []);
      assert.equal(existsSync(pidfile), false);
      assert.deepEqual(run(["ls", join(server.directory, "run/lxcfs")]), "");
    } finally {
      server.kill();
    }
  });
}

void test("SIGTERM ends it also while its server is stopped", async () => {
  const server = await Server.start();
  try {
    process.kill(statusOf(server).serverPid, "SIGSTOP");
    server.process.kill("SIGTERM");
    await once(server.process, "exit");
    assert.equal(server.process.exitCode, 0);
    assert.deepEqual(server.left(), []);
  } finally {
    server.kill();
  }
});

void test("SIGUSR2 shows host values and back, also across the death of the server", async () => {
  const server = await Server.start();
  try {
    server.process.kill("SIGUSR2");
    const hosts = await statusWhen(server, "host view", (status) => status.hostView);
    process.kill(hosts.serverPid, "SIGKILL");
    await statusWhen(server, "still so", (s) => s.serverPid !== hosts.serverPid && s.hostView);
    server.process.kill("SIGUSR2");
    await statusWhen(server, "own view", (status) => !status.hostView);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("unmounting by hand ends the daemon", async () => {
  const server = await Server.start();
  try {
    run(["umount", server.mountpoint]);
    await once(server.process, "exit");
    assert.equal(server.process.exitCode, 0);
    assert.deepEqual(server.left(), []);
  } finally {
    server.kill();
  }
});

void test("status finds a server again whose runtime directory was deleted", async () => {
  const server = await Server.start();
  try {
    // All of it but the mountpoint of the cached files, which nobody can remove.
    run(["find", join(server.directory, "run"), "-type", "s", "-delete"]);
    const status = await statusWhen(server, "an answer", () => true);
    assert.equal(status.mountpoint, server.mountpoint);
    assert.match(status.protocol, /^7\.\d+$/);
    assert.ok(status.workers >= 1);
    assert.ok(Math.abs(Date.parse(status.startTime) - Date.now()) < 60_000);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("it starts with closed standard descriptors, and says nothing wrong", async () => {
  const server = await Server.start({ wait: false });
  server.kill();
  const child = spawn(
    "sh",
    [
      "-c",
      `exec "$0" --runtime-dir "$1" -p "$1/closed.pid" "$2" <&- >&- 2>&-`,
      lxcfsCommand,
      join(directory, "run"),
      mnt(),
    ],
    { stdio: "ignore" },
  );
  await waitFor("it serves", () => existsSync(join(mnt(), "proc/meminfo")));
  child.kill("SIGTERM");
  await once(child, "exit");
  assert.equal(child.exitCode, 0);
});

void test("requests are counted by file and result", async () => {
  const server = await Server.start();
  try {
    const before = statusOf(server).requests["proc/meminfo"]?.ok ?? 0;
    for (let i = 0; i < 50; i++) readFileSync(join(server.mountpoint, "proc/meminfo"));
    const now = statusOf(server).requests["proc/meminfo"];
    // Each file is read to its end: once with text, once to find the end.
    assert.ok((now?.ok ?? 0) >= before + 50, JSON.stringify(now));
    assert.equal(now?.error, 0);
    await server.stop();
  } finally {
    server.kill();
  }
});

void test("the holder needs under 2 MB, and both run with fewer rights than they were given", async () => {
  const server = await Server.start();
  try {
    const { holderPid, serverPid } = statusOf(server);
    const field = (pid: number, name: string): string =>
      new RegExp(`^${name}:\\s+(.*)$`, "m").exec(
        readFileSync(`/proc/${pid}/status`, "utf8"),
      )?.[1] ?? "";
    assert.ok(Number.parseInt(field(holderPid, "VmRSS"), 10) <= 2048, field(holderPid, "VmRSS"));
    assert.ok(
      Number.parseInt(field(serverPid, "RssAnon"), 10) <= 46_080,
      field(serverPid, "RssAnon"),
    );
    // Without CAP_SYS_RESOURCE the kernel refuses, and the daemon does without.
    const lowestOomScore = run([
      "sh",
      "-c",
      "{ echo -1000 >/proc/$$/oom_score_adj; } 2>/dev/null; cat /proc/$$/oom_score_adj",
    ]).trim();
    const CAP_NET_ADMIN = 1n << 12n;
    const CAP_SYS_MODULE = 1n << 16n;
    const CAP_SYS_ADMIN = 1n << 21n;
    for (const pid of [holderPid, serverPid]) {
      assert.equal(field(pid, "NoNewPrivs"), "1");
      const capabilities = BigInt(`0x${field(pid, "CapEff")}`);
      assert.equal(capabilities & (CAP_NET_ADMIN | CAP_SYS_MODULE), 0n);
      assert.notEqual(capabilities & CAP_SYS_ADMIN, 0n);
      assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim(), lowestOomScore);
    }
    assert.equal(readFileSync(`/proc/${holderPid}/comm`, "utf8"), "lxcfs\n");
    assert.equal(statSync(join(server.directory, "lxcfs.pid")).mode & 0o777, 0o644);
    await server.stop();
  } finally {
    server.kill();
  }
});
