/** Mounting and unmounting, the example program, and what is left of servers that were killed. */
import "./own_namespace.ts";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import {
  DeviceChannel,
  detachDeadMounts,
  isDeadMount,
  MountError,
  mountFuse,
  openFuseDevice,
  unmountFuse,
} from "../../src/fuse/index.ts";
import { errno, SystemError } from "../../src/sys/errno.ts";
import { guardWith, type Undo } from "../support/guard.ts";
import { waitFor } from "../support/wait.ts";
import { cat, outside } from "./mounted.ts";

const HELLO = new URL("../../examples/hello.js", import.meta.url).pathname;

let mountpoint: string;
let undo: Undo;
beforeEach(() => {
  mountpoint = mkdtempSync(join(tmpdir(), "lxcfs-fuse-"));
  undo = guardWith(`umount -l '${mountpoint}'; umount -l '${mountpoint}'; rmdir '${mountpoint}'`);
});
afterEach(() => undo.run());

function mountsHere(): number {
  const lines = readFileSync("/proc/self/mounts", "utf8").split("\n");
  return lines.filter((line) => line.split(" ")[1] === mountpoint).length;
}

async function startHello(): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HELLO, mountpoint], { stdio: "inherit" });
  await waitFor("the mount", () => mountsHere() === 1);
  return child;
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

test("the example serves until it is unmounted, and then ends", async () => {
  const child = await startHello();
  assert.equal((await cat(`${mountpoint}/hello`)).stdout, "Hello from user space!\n");
  assert.equal((await outside("ls", ["-A", mountpoint])).stdout, "hello\n");
  assert.match((await cat(`${mountpoint}/other`)).stderr, /No such file or directory/);
  assert.equal((await outside("umount", [mountpoint])).code, 0);
  await waitFor("the example to end", () => ended(child));
  assert.equal(child.exitCode, 0);
});

test("a killed server's mount is taken away", async () => {
  const child = await startHello();
  child.kill("SIGKILL");
  await waitFor("the mount to go", () => mountsHere() === 0);
});

test("a directory in use is detached", async () => {
  const child = await startHello();
  const user = spawn("sleep", ["30"], { cwd: mountpoint });
  await waitFor("the user", () => user.pid !== undefined);
  assert.equal(unmountFuse(mountpoint), true);
  assert.equal(mountsHere(), 0);
  assert.equal(ended(child), false, "it is still served to its last user");
  user.kill("SIGKILL");
  await waitFor("the example to end", () => ended(child));
  assert.equal(child.exitCode, 0);
});

test("unmounting where nothing is mounted says so", () => {
  assert.equal(unmountFuse(mountpoint), false);
  assert.equal(unmountFuse(join(mountpoint, "absent")), false);
});

test("dead mounts, also one on another, are seen and detached", async () => {
  for (let layer = 0; layer < 2; layer++) {
    const fd = openFuseDevice();
    mountFuse({ fd, mountpoint, subtype: "sample" });
    // Only an umounted or a served filesystem can be mounted upon: close one, mount the next.
    closeSync(fd);
    await waitFor("the mount to be dead", () => isDeadMount(mountpoint));
    if (layer === 0) {
      assert.throws(
        () => mountFuse({ fd: 0, mountpoint }),
        /Cannot mount on \S+: the server of the filesystem mounted there is gone; unmount it first/,
      );
      assert.equal(detachDeadMounts(mountpoint), 1);
    }
  }
  assert.equal(detachDeadMounts(mountpoint), 1);
  assert.equal(mountsHere(), 0);
  assert.equal(isDeadMount(mountpoint), false);
  assert.equal(detachDeadMounts(mountpoint), 0);
  assert.equal(isDeadMount(join(mountpoint, "absent")), false);
});

test("a dead mount is seen although its attributes are cached", async () => {
  // The example of before, but its root's attributes were promised for ever.
  const index = new URL("../../src/fuse/index.js", import.meta.url).href;
  const script = `
    const { FOREVER_SECONDS, mountFilesystem } = await import(${JSON.stringify(index)});
    mountFilesystem(process.argv[1], {
      getattr: (_, reply) => reply.attributes({ ino: 1, mode: 0o40555 }, FOREVER_SECONDS),
    }, { unmountAtExit: false }).serve();`;
  const argv = ["--input-type=module", "-e", script, mountpoint];
  const child = spawn(process.execPath, argv, { stdio: "inherit" });
  await waitFor("the mount", () => mountsHere() === 1);
  assert.equal((await outside("stat", ["-c", "%a", mountpoint])).stdout, "555\n");
  child.kill("SIGKILL");
  await waitFor("the server to end", () => ended(child));
  assert.equal((await outside("stat", ["-c", "%a", mountpoint])).stdout, "555\n");
  assert.equal(isDeadMount(mountpoint), true);
  assert.equal(detachDeadMounts(mountpoint), 1);
});

test("every failure to mount is one message that says what was found", () => {
  assert.throws(() => openFuseDevice("/dev/no-such-device"), {
    name: "MountError",
    errno: errno.ENOENT,
    message:
      "Cannot open /dev/no-such-device: it does not exist; load the kernel module fuse, and in a container pass the device in",
  });
  const absent = join(mountpoint, "absent");
  assert.throws(() => mountFuse({ fd: 0, mountpoint: absent }), {
    name: "MountError",
    code: "ENOENT",
    message: `Cannot mount on ${absent}: it does not exist; create the directory first`,
  });
  const file = join(mountpoint, "file");
  writeFileSync(file, "");
  assert.throws(() => mountFuse({ fd: 0, mountpoint: file }), {
    message: `Cannot mount on ${file}: it is not a directory`,
    code: "ENOTDIR",
  });
  rmSync(file);
  const fd = openFuseDevice("/dev/null");
  assert.throws(
    () => mountFuse({ fd, mountpoint }),
    (error) => error instanceof MountError && /not a fresh \/dev\/fuse/.test(error.message),
  );
  closeSync(fd);
  rmdirSync(mountpoint);
});

test("without rights the reason is given", async () => {
  const index = new URL("../../src/fuse/index.js", import.meta.url).href;
  const script = `
    const { mountFilesystem } = await import(${JSON.stringify(index)});
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    try { mountFilesystem("/tmp", {}); } catch (error) { console.log(error.message); }`;
  const { stdout } = await outside(process.execPath, ["--input-type=module", "-e", script]);
  assert.match(stdout, /^Cannot (open \/dev\/fuse|mount on \/tmp): not permitted; run as root/);
});

test("a device that nothing is mounted on cannot be read", () => {
  const fd = openFuseDevice();
  const channel = new DeviceChannel(fd);
  assert.throws(
    () => channel.read(Buffer.alloc(8192)),
    (error) => error instanceof SystemError && error.errno === errno.EPERM,
  );
  closeSync(fd);
});

test("docs/fuse.md shows the example as it is", () => {
  const root = new URL("../../../", import.meta.url);
  const page = readFileSync(new URL("docs/fuse.md", root), "utf8");
  const example = readFileSync(new URL("examples/hello.ts", root), "utf8");
  assert.ok(
    page.includes(`\`\`\`ts\n${example}\`\`\`\n`),
    "copy examples/hello.ts into docs/fuse.md",
  );
});
