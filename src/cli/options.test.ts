import assert from "node:assert/strict";
import { test } from "node:test";
import { helpText } from "./help.ts";
import { type MountCommand, OPTIONS, parseMountCommand, UsageError } from "./options.ts";

function mount(...args: string[]): MountCommand {
  const command = parseMountCommand(args);
  assert.ok(command.kind === "mount");
  return command;
}

void test("every option of LXCFS 5, 6 and 7 is accepted, in every way getopt accepts it", () => {
  const command = mount(
    ...["-f", "-l", "-s", "-u", "-o", "allow_other,ro", "-p", "/tmp/p"],
    ...["--enable-cfs", "--enable-pidfd", "--enable-cgroup", "--enable-psi-poll"],
    ...["--disable-zswap", "--runtime-dir=/srv/run", "/var/lib/lxcfs"],
  );
  assert.equal(command.mountpoint, "/var/lib/lxcfs");
  assert.equal(command.mountOptions, "allow_other,ro");
  assert.equal(command.pidfile, "/tmp/p");
  assert.equal(command.runtimeDir, "/srv/run");
  assert.equal(command.cpuPolicy, "quota");
  assert.deepEqual([command.swap, command.zswap], [false, false]);
  assert.deepEqual([command.cgroupTree, command.psiPoll], [true, true]);
  const long = mount(
    "--foreground",
    "--enable-loadavg",
    "--disable-swap",
    "--pidfile=/tmp/p",
    "/m",
  );
  assert.deepEqual([long.pidfile, long.swap], ["/tmp/p", false]);
  assert.equal(mount("-lfup/tmp/q", "/m").pidfile, "/tmp/q");
  assert.equal(mount("-d", "/m").logLevel, "debug");
  assert.equal(mount("--", "-m").mountpoint, "-m");
});

void test("an option may be abbreviated as far as only one is meant", () => {
  const command = mount("--pid=/tmp/p", "--enable-cg", "--disable-s", "--runtime", "/r", "/m");
  assert.equal(command.pidfile, "/tmp/p");
  assert.equal(command.runtimeDir, "/r");
  assert.deepEqual([command.cgroupTree, command.swap, command.zswap], [true, false, true]);
  assert.throws(() => mount("--enable", "/m"), /Unknown option '--enable'/);
});

void test("mount options add up, of others the last counts", () => {
  const command = mount("-o", "ro,noexec", "-o", "noatime", "-p", "/a", "-p", "/b", "/m");
  assert.equal(command.mountOptions, "ro,noexec,noatime");
  assert.equal(command.pidfile, "/b");
});

void test("without options a container sees what is documented", () => {
  const { cpuPolicy, uptime, swap, zswap, cgroupTree, psiPoll, workers, metrics } = mount("/m");
  assert.deepEqual(
    { cpuPolicy, uptime, swap, zswap, cgroupTree, psiPoll, workers, metrics },
    {
      cpuPolicy: "cpuset",
      uptime: "container",
      swap: true,
      zswap: true,
      cgroupTree: false,
      psiPoll: false,
      workers: 0,
      metrics: "",
    },
  );
  assert.equal(mount("--enable-cfs", "--cpu-policy", "none", "/m").cpuPolicy, "none");
});

void test("help and version win over everything else", () => {
  assert.equal(parseMountCommand(["-h"]).kind, "help");
  assert.equal(parseMountCommand(["/m", "--version"]).kind, "version");
});

void test("what is wrong is a usage error", () => {
  const wrong = [[], ["/a", "/b"], ["--nope", "/m"], ["--freshness", "-1", "/m"], ["-p"]];
  wrong.push(["--metrics", "nowhere", "/m"], ["--log-level", "loud", "/m"], ["-d", "-f", "/m"]);
  for (const args of wrong) {
    assert.throws(() => parseMountCommand(args), UsageError, args.join(" "));
  }
});

void test("the help names every option", () => {
  const help = helpText();
  for (const { name } of OPTIONS) assert.ok(help.includes(`--${name}`), name);
  assert.ok(help.split("\n").every((line) => line.length <= 100));
});
