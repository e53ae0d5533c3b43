/** What the server may still do: each right it keeps is needed, and what it does without is gone. */
import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Worker } from "node:worker_threads";
import { DEFAULT_VIEW } from "../../src/daemon/config.ts";
import { namesOf, neededCapabilities, servingCapabilities } from "../../src/daemon/capabilities.ts";
import { type Containment, refuseCalls } from "../../src/daemon/contain.ts";
import { type Capability, capabilityBits } from "../../src/sys/capabilities.ts";
import { errno } from "../../src/sys/errno.ts";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run } from "../support/run.ts";
import { Server, type ServerOptions } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import { hierarchyNames, treeOf } from "../cgroup_tree/trees.ts";
import { statusOf } from "./control.ts";

const MIB = 1 << 20;
/** Half a second, and many on a machine that is busy with other tests. */
const START_MS = 60_000;
const skip = whyNoMounts();
const hostNamespace = readlinkSync("/proc/thread-self/ns/mnt");

/** Threads of the server that answer requests: those whose calls are filtered. */
function servingThreads(serverPid: number): string[] {
  const tasks = `/proc/${serverPid}/task`;
  return readdirSync(tasks)
    .map((tid) => join(tasks, tid))
    .filter((task) => field(task, "Seccomp") === "2");
}

function field(task: string, name: string): string {
  const status = readFileSync(join(task, "status"), "latin1");
  return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "";
}

void describe("a server", { skip }, () => {
  let lab: Lab;
  let serverPid: number;
  before(async () => {
    lab = await Lab.open();
    ({ serverPid } = statusOf(lab.server));
    await waitFor("two threads serve", () => servingThreads(serverPid).length >= 2);
  });
  after(async () => await lab?.close());

  void test("is in a mount namespace of its own, its holder in the host's", () => {
    const { holderPid } = statusOf(lab.server);
    assert.equal(readlinkSync(`/proc/${holderPid}/ns/mnt`), hostNamespace);
    const own = readlinkSync(`/proc/${serverPid}/ns/mnt`);
    assert.notEqual(own, hostNamespace);
    for (const task of servingThreads(serverPid)) {
      assert.equal(readlinkSync(join(task, "ns/mnt")), own);
    }
  });

  void test("sees there a procfs of its own, cgroups read-only, and little else", () => {
    const mounts = readFileSync(`/proc/${serverPid}/mountinfo`, "utf8").trim().split("\n");
    const types = mounts.map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , device, , point, options = ""] = before.split(" ");
      return { device, point, options, type: after.split(" ")[0] };
    });
    for (const { point, options } of types) assert.match(options, /^ro,/, point);
    const proc = types.filter(({ type }) => type === "proc");
    assert.deepEqual(
      proc.map(({ point }) => point),
      ["/proc"],
    );
    const { dev } = statSync("/proc");
    assert.notEqual(proc[0]?.device, `${dev >> 8}:${dev & 0xff}`, "the host's own procfs");
    const needless = types.filter(({ type }) => type === "fuse.lxcfs" || type === "devtmpfs");
    assert.deepEqual(needless, []);
    for (const { mountpoint } of mountedHierarchies()) {
      const file = `/proc/${serverPid}/root${mountpoint}/cgroup.procs`;
      assert.throws(() => writeFileSync(file, "0"), /EROFS/);
    }
  });

  void test("its serving threads may do less than the rest, and make few system calls", () => {
    for (const task of servingThreads(serverPid)) {
      const expected = capabilityBits(servingCapabilities(DEFAULT_VIEW));
      assert.equal(BigInt(`0x${field(task, "CapEff")}`), expected);
      assert.equal(BigInt(`0x${field(task, "CapPrm")}`), expected);
      assert.equal(field(task, "NoNewPrivs"), "1");
    }
    const all = capabilityBits(namesOf(neededCapabilities(DEFAULT_VIEW)));
    assert.equal(BigInt(`0x${field(`/proc/${serverPid}`, "CapBnd")}`), all);
    assert.equal(statusOf(lab.server).refusedCalls, 0);
  });
});

/** A server that is started by way of `launcher`; whether it starts at all is seen by the caller. */
async function startBy(launcher: string, options: ServerOptions = {}): Promise<Server> {
  const directory = run(["mktemp", "-d"]).trim();
  const command = join(directory, "lxcfs");
  writeFileSync(command, `#!/bin/sh\nexec ${launcher} ${lxcfsCommand} "$@"\n`);
  chmodSync(command, 0o755);
  try {
    const server = await Server.start({ ...options, command, wait: false });
    const isDecided = (): boolean =>
      server.process.exitCode !== null || / serving /.test(server.output);
    try {
      await waitFor("a start, or its end", isDecided, START_MS);
    } catch (error) {
      server.kill();
      throw error;
    }
    return server;
  } finally {
    run(["rm", "-r", directory]);
  }
}

void test("what is mounted over the host's /proc later changes no answer", { skip }, async () => {
  const server = await startBy("unshare --mount --propagation private --kill-child");
  const inside = (...argv: string[]): string =>
    run(["nsenter", "-t", String(server.process.pid), "-m", "--", ...argv]);
  try {
    inside("mount", "-t", "tmpfs", "none", "/proc");
    const meminfo = inside("cat", join(server.mountpoint, "proc/meminfo"));
    assert.equal(
      keyedNumbers(meminfo).get("MemTotal"),
      keyedNumbers(readFileSync("/proc/meminfo", "utf8")).get("MemTotal"),
    );
  } finally {
    server.kill();
  }
});

void test(
  "in a container with files of another lxcfs, those are its machine's",
  { skip },
  async () => {
    const outer = await Lab.open();
    try {
      const machine = await outer.container({ limits: { memoryBytes: 64 * MIB } });
      const ofMachine = containerNames(machine)
        .map((name) => join(outer.server.mountpoint, "containers", name, "proc/meminfo"))
        .find((path) => existsSync(path));
      const bind = `mount --bind ${ofMachine} /proc/meminfo && exec "$0" "$@"`;
      const own = "unshare --mount --propagation private --kill-child";
      const server = await startBy(`${own} sh -c '${bind}'`);
      try {
        assert.notEqual(
          readlinkSync(`/proc/${statusOf(server).serverPid}/ns/mnt`),
          readlinkSync(`/proc/${statusOf(server).holderPid}/ns/mnt`),
        );
        const enter = ["nsenter", "-t", String(server.process.pid), "-m", "--"];
        const meminfo = run([...enter, "cat", join(server.mountpoint, "proc/meminfo")]);
        assert.equal(keyedNumbers(meminfo).get("MemTotal"), 64 * 1024);
        assert.doesNotMatch(server.output, /: (warn|error): /);
      } finally {
        server.kill();
      }
    } finally {
      await outer.close();
    }
  },
);

void test(
  "where it may not have one, it says so in one line and serves without",
  { skip },
  async () => {
    // What a user namespace inherits of mounts is locked there.
    const launcher = "unshare --user --map-root-user --mount --propagation private --kill-child";
    const server = await startBy(launcher);
    try {
      const enter = [
        "nsenter",
        "-t",
        String(server.process.pid),
        "-U",
        "-m",
        "--preserve-credentials",
      ];
      const meminfo = run([...enter, "cat", join(server.mountpoint, "proc/meminfo")]);
      assert.match(meminfo, /^MemTotal: +\d+ kB/);
      const warnings = server.output.split("\n").filter((line) => /: (warn|error): /.test(line));
      assert.equal(warnings.length, 1, server.output);
      assert.match(warnings[0] ?? "", /no mount namespace of its own: the host's is used cause=/);
    } finally {
      server.kill();
    }
  },
);

void test("a system call that is not on the list is refused and told", { skip }, async () => {
  const contain = new URL("../../src/daemon/contain.js", import.meta.url).href;
  const native = new URL("../../src/sys/native.js", import.meta.url).href;
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
    (async () => {
      const { contain, native, view } = workerData;
      const { containServingThread } = await import(contain);
      const { unshare, netlinkSocket } = await import(native);
      parentPort.postMessage(containServingThread(view));
      try { unshare(0x20000); } catch (error) { parentPort.postMessage(error.errno); }
      parentPort.postMessage(require("node:fs").readFileSync("/proc/uptime", "latin1"));
    })();`,
    { eval: true, workerData: { contain, native, view: DEFAULT_VIEW } },
  );
  const said: unknown[] = [];
  worker.on("message", (message) => said.push(message));
  await waitFor("the thread is contained", () => said.length > 0);
  const { listenerFd, unfiltered } = said[0] as Containment;
  assert.equal(unfiltered, undefined);
  const refused: number[] = [];
  await waitFor("the thread goes on", () => {
    refused.push(...refuseCalls(listenerFd));
    return said.length === 3;
  });
  const SYS_unshare = process.arch === "arm64" ? 97 : 272;
  assert.deepEqual(refused, [SYS_unshare]);
  assert.equal(said[1], errno.EPERM);
  assert.match(String(said[2]), /^\d/);
});

/** Whether what a capability is kept for works, told by the answer of a server with or without it. */
const WORKS: Partial<Record<Capability, (server: Server) => Promise<boolean>>> = {
  async DAC_READ_SEARCH(server) {
    // What was delegated is closed to others: a container not seen yet is found and read all the same.
    const container = await Container.start({ limits: { memoryBytes: 64 * MIB } });
    try {
      for (const { mountpoint } of mountedHierarchies()) {
        const directory = join(mountpoint, container.cgroups.path);
        if (statSync(directory, { throwIfNoEntry: false }) === undefined) continue;
        chownSync(directory, 400_000, 400_000);
        chmodSync(directory, 0o700);
      }
      return containerNames(container).some((name) => {
        const path = join(server.mountpoint, "containers", name, "proc/meminfo");
        try {
          return keyedNumbers(readFileSync(path, "utf8")).get("MemTotal") === 64 * 1024;
        } catch {
          return false;
        }
      });
    } finally {
      container.stop();
    }
  },
  SYS_ADMIN: (server) => Promise.resolve(server.answersNow()),
  SYS_CHROOT: (server) =>
    Promise.resolve(readlinkSync(`/proc/${statusOf(server).serverPid}/ns/mnt`) !== hostNamespace),
  async SYS_PTRACE(server) {
    const limits = { memoryBytes: 64 * MIB };
    const container = await Container.start({ mountpoint: server.mountpoint, limits });
    try {
      // Entered from outside, its cgroup is the host's: its pid namespace alone tells where it is.
      const enter = ["nsenter", "-t", String(container.initPid), "-m", "-p"];
      const user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
      const meminfo = run([...enter, ...user, "cat", "/proc/meminfo"]);
      return keyedNumbers(meminfo).get("MemTotal") === 64 * 1024;
    } finally {
      container.stop();
    }
  },
};

/** A script of a container's root that succeeds if it may do what the capability is kept for. */
const IN_THE_TREE: Partial<Record<Capability, string>> = {
  CHOWN: "chown 1000 below",
  DAC_OVERRIDE: "chown 1000 below; chmod 500 below; mkdir below/more",
  FOWNER: "chown 1000 below; chmod 700 below",
  SETGID: "chgrp 1000 below; chmod 775 below; setpriv --regid 1000 --clear-groups mkdir below/more",
  SETUID: "chown 1000 below; setpriv --reuid 1000 --clear-groups mkdir below/more",
};

async function worksInTheTree(server: Server, script: string): Promise<boolean> {
  const container = await Container.start();
  try {
    const [name = ""] = hierarchyNames();
    const { own } = treeOf(server.mountpoint, name, container);
    const command = `set -e; cd "$0"; mkdir below; ${script}`;
    return container.tryExec(["sh", "-c", command, own]).status === 0;
  } finally {
    container.stop();
  }
}

/** Arms a trigger of the capability's kind on a container's own pressure file. */
async function armsTrigger(server: Server, microseconds: string): Promise<boolean> {
  const container = await Container.start({ mountpoint: server.mountpoint });
  try {
    for (const { mountpoint } of mountedHierarchies()) {
      const file = join(mountpoint, container.cgroups.path, "cpu.pressure");
      if (statSync(file, { throwIfNoEntry: false })) chownSync(file, 400_000, 400_000);
    }
    const command = `echo "some ${microseconds}" > /proc/pressure/cpu`;
    return container.tryExec(["sh", "-c", command]).status === 0;
  } finally {
    container.stop();
  }
}

/** What the container may be called below `containers/`: by the number of its cgroup. */
function containerNames(container: Container): string[] {
  return mountedHierarchies().flatMap(({ mountpoint, version }) => {
    const stat = statSync(join(mountpoint, container.cgroups.path), { throwIfNoEntry: false });
    if (stat === undefined) return [];
    return version === 2 ? [String(stat.ino)] : [`memory-${stat.ino}`];
  });
}

/** Whether this process, and so what it starts, has it. */
function has(capability: Capability): boolean {
  return (BigInt(`0x${field("/proc/self", "CapEff")}`) & capabilityBits([capability])) !== 0n;
}

/** Servers that lack nothing, by their option. */
const whole = new Map<string, Promise<Server>>();
after(async () => {
  for (const server of whole.values()) await (await server).stop();
});

/** Sees that something works, and does not in a server that was never given `capability`. */
async function isNeeded(
  capability: Capability,
  args: readonly string[],
  works: (server: Server) => Promise<boolean>,
): Promise<void> {
  assert.ok(has(capability), "the test itself has it");
  const server = whole.get(args.join()) ?? Server.start({ args });
  whole.set(args.join(), server);
  assert.equal(await works(await server), true, "with it");
  const without = await startBy(`setpriv --bounding-set -${capability.toLowerCase()}`, { args });
  try {
    assert.equal(await works(without), false, "without it");
  } finally {
    without.kill();
  }
}

void describe("each capability that is kept is needed", { skip }, () => {
  const always = namesOf(neededCapabilities(DEFAULT_VIEW));
  for (const capability of always) {
    void test(`CAP_${capability}`, async () => {
      const works = WORKS[capability];
      assert.ok(works, "nothing shows what it is kept for");
      await isNeeded(capability, [], works);
    });
  }

  const view = { ...DEFAULT_VIEW, cgroupTree: true };
  const ofTree = namesOf(neededCapabilities(view)).filter((name) => !always.includes(name));
  for (const capability of ofTree) {
    void test(`CAP_${capability}, with --enable-cgroup`, async () => {
      const script = IN_THE_TREE[capability];
      assert.ok(script, "nothing shows what it is kept for");
      const works = (server: Server): Promise<boolean> => worksInTheTree(server, script);
      await isNeeded(capability, ["--enable-cgroup"], works);
    });
  }

  const noPressure = existsSync("/proc/pressure/cpu") ? false : "the kernel has no pressure files";
  const mayNotEither = (capability: Capability): string | false =>
    has(capability) ? false : `nobody has CAP_${capability} on this machine`;
  for (const [capability, trigger] of [
    ["DAC_OVERRIDE", "500000 2000000"],
    ["SYS_RESOURCE", "150000 1000000"],
  ] as const) {
    const title = `CAP_${capability}, with --enable-psi-poll`;
    void test(title, { skip: noPressure || mayNotEither(capability) }, async () => {
      const works = (server: Server): Promise<boolean> => armsTrigger(server, trigger);
      await isNeeded(capability, ["--enable-psi-poll"], works);
    });
  }
});
