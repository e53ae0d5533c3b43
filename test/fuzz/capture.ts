/**
 * Makes the corpus that the fuzzer starts from: what the kernel really asks when programs use a mount
 * of the target, one file for each program.
 *
 *     node dist/test/fuzz/capture.js protocol|filesystem DIRECTORY
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Channel, DeviceChannel } from "../../src/fuse/channel.ts";
import { mountFuse, openFuseDevice, unmountFuse } from "../../src/fuse/index.ts";
import type { Operations } from "../../src/fuse/operations.ts";
import { Session } from "../../src/fuse/session.ts";
import { guardWith } from "../support/guard.ts";
import { inputOf } from "./messages.ts";

/** Run in the mount, by sh; what fails fails, the kernel has asked by then. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  protocol: [
    "ls -la .",
    "cat long",
    "echo x > long",
    "dd if=long of=/dev/null bs=3 skip=2 count=2",
    "truncate -s 3 long; touch -d 2020-01-01 long; chmod 600 long; chown 1:1 long",
    "touch ab",
    "mkdir abc; rmdir long; rm long",
    "ln -s somewhere ab; ln long cd; readlink long; mv long ef; mknod gh p",
    "node -e 'const fs=require(`fs`);const f=fs.openSync(`long`,`r+`);fs.fsyncSync(f);fs.closeSync(f)'",
    "setfattr -n user.some -v value long; getfattr -d long; setfattr -x user.some long",
    "cp --sparse=always long /dev/null; df .; stat -f .; test -w long",
    "node -e 'require(`child_process`).spawnSync(`timeout`,[`0.1`,`tail`,`-f`,`long`])'",
  ],
  filesystem: [
    "ls -la . proc proc/pressure sys/devices/system/cpu sys/devices/system/node containers",
    "cat proc/meminfo proc/stat proc/cpuinfo",
    "cat proc/uptime proc/loadavg proc/diskstats proc/partitions proc/swaps proc/vmstat proc/slabinfo",
    "cat proc/pressure/cpu proc/pressure/memory proc/pressure/io",
    "cat sys/devices/system/cpu/online sys/devices/system/cpu/cpu0/topology/core_cpus_list",
    "cat sys/devices/system/node/node0/meminfo sys/devices/system/node/node0/cpulist",
    "find sys -maxdepth 5 | head -100",
    "dd if=proc/stat of=/dev/null bs=1 count=20",
    "tail -c 30 proc/meminfo; head -c 5 proc/uptime",
    "echo x > proc/uptime; echo 'some 100000 2000000' > proc/pressure/cpu; mkdir x; rm proc/uptime",
    "cat proc/nothing containers/1/proc/meminfo; ls containers/1; readlink containers/self",
    "df .; stat -f .; test -w proc/uptime; getfattr -d proc/uptime; chmod 777 proc/uptime",
  ],
};

interface Order {
  readonly fd: number;
  readonly target: string;
}

/** Keeps all that is asked, until it is asked for. */
class Recorder implements Channel {
  readonly #device: DeviceChannel;
  readonly #messages: Buffer[] = [];

  constructor(fd: number) {
    this.#device = new DeviceChannel(fd);
  }

  read(buffer: Buffer): number {
    const length = this.#device.read(buffer);
    if (length > 0) {
      this.#messages.push(Buffer.from(buffer.subarray(0, length)));
      parentPort?.postMessage(this.#messages.splice(0));
    }
    return length;
  }

  write(buffer: Buffer, lengthBytes: number): number {
    return this.#device.write(buffer, lengthBytes);
  }
}

async function operationsOf(target: string): Promise<Operations> {
  if (target === "filesystem") return (await import("./filesystem.ts")).operations;
  const { thoroughOperations } = await import("../../src/fuse/testing.ts");
  // The kernel wants a directory to begin with.
  const getattr: Operations["getattr"] = ({ nodeId }, reply) =>
    reply.attributes(nodeId === 1 ? { ino: 1, mode: 0o40777 } : { ino: nodeId, mode: 0o100666 });
  return { ...thoroughOperations, getattr };
}

async function serve({ fd, target }: Order): Promise<void> {
  new Session(new Recorder(fd), await operationsOf(target)).serve();
}

async function capture(target: string, directory: string): Promise<void> {
  const path = mkdtempSync(join(tmpdir(), "lxcfs-capture-"));
  guardWith(`umount -l '${path}'; rmdir '${path}'`);
  const fd = openFuseDevice();
  mountFuse({ subtype: "capture", fd, mountpoint: path });
  const order: Order = { fd, target };
  const worker = new Worker(new URL(import.meta.url), { workerData: order });
  let messages: Buffer[] = [];
  worker.on("message", (more: Uint8Array[]) =>
    messages.push(...more.map((each) => Buffer.from(each))),
  );
  mkdirSync(directory, { recursive: true });
  for (const program of PROGRAMS[target] ?? []) {
    await promisify(execFile)("sh", ["-c", `cd ${path} && { ${program}; } 2>&1`], {
      timeout: 20_000,
    }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const input = inputOf(messages.slice(0, 40));
    messages = [];
    if (input.length === 0) continue;
    writeFileSync(
      join(directory, createHash("sha1").update(input).digest("hex").slice(0, 16)),
      input,
    );
  }
  unmountFuse(path);
  await worker.terminate();
  rmdirSync(path);
}

if (isMainThread) {
  const [target = "", directory = ""] = process.argv.slice(2);
  await capture(target, directory);
  process.exit(0);
} else {
  await serve(workerData as Order);
}
