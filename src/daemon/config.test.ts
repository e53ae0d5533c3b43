import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG_VARIABLE, configFromEnvironment, DEFAULT_CONFIG } from "./config.ts";
import { parseListenAddress } from "./listen.ts";
import { parseMountOptions } from "./mount_options.ts";
import { escapeMountPath } from "./mountpoint.ts";
import { controlSocketPath } from "./paths.ts";
import { MS } from "../sys/native.ts";

void test("what an older front did not know is supplied, what a newer one adds is no trouble", () => {
  const config = configFromEnvironment({
    [CONFIG_VARIABLE]: JSON.stringify({ mountpoint: "/x", view: { swap: false }, later: 1 }),
  });
  assert.equal(config.mountpoint, "/x");
  assert.equal(config.view.swap, false);
  assert.equal(config.view.cpuPolicy, DEFAULT_CONFIG.view.cpuPolicy);
  assert.equal(config.deadlineMs, DEFAULT_CONFIG.deadlineMs);
  assert.throws(() => configFromEnvironment({}), /Cannot serve: LXCFS_CONFIG is not set/);
});

void test("mount options are flags, text for the kernel, or ours already", () => {
  const base = MS.NOSUID | MS.NODEV;
  assert.deepEqual(parseMountOptions(""), { flags: base, data: "" });
  assert.deepEqual(parseMountOptions("allow_other,nonempty,ro,entry_timeout=1.0,max_read=4096"), {
    flags: base | MS.RDONLY,
    data: "max_read=4096",
  });
  const label = "context=system_u:object_r:container_ro_file_t:s0";
  assert.equal(parseMountOptions(label).data, label);
  assert.throws(() => parseMountOptions("ro,typo"), /-o typo: no such mount option/);
});

void test("addresses to listen at", () => {
  assert.deepEqual(parseListenAddress("127.0.0.1:9100"), { host: "127.0.0.1", port: 9100 });
  assert.deepEqual(parseListenAddress("[::1]:80"), { host: "::1", port: 80 });
  assert.deepEqual(parseListenAddress(":9100"), { host: "::", port: 9100 });
  assert.deepEqual(parseListenAddress("/run/x.sock"), { path: "/run/x.sock" });
  for (const wrong of ["9100", "host", "host:", "host:99999", "a:b:1"]) {
    assert.throws(() => parseListenAddress(wrong), /HOST:PORT/, wrong);
  }
});

void test("control sockets of different mountpoints differ, and their names are short enough", () => {
  const one = controlSocketPath("/run", "/var/lib/lxcfs");
  assert.match(one, /^\/run\/lxcfs\/lxcfs-[0-9a-f]{8}\.sock$/);
  assert.notEqual(one, controlSocketPath("/run", "/srv/lxcfs"));
  assert.ok(controlSocketPath("/run", `/${"long name ".repeat(300)}`).length < 100);
});

void test("a path as mountinfo writes it", () => {
  assert.equal(escapeMountPath("/a b\tc\\d"), "/a\\040b\\011c\\134d");
});
