/** Each row of the README's table about LXCFS, on Debian's lxcfs and on this program. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { statusOf } from "../daemon/control.ts";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { Container, type ContainerOptions } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { whyNoPeer } from "../support/lab.ts";
import { cpuinfoBlocks, keyedNumbers } from "../support/parse.ts";
import { projectRoot } from "../support/project.ts";
import { peerVersion, Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";

/** Rows that no test can tell of, and why. */
const UNTESTED: Readonly<Record<string, string>> = {
  "containers that already run": "the original has no such command",
  "a read of an attached container's meminfo": "npm run bench measures it",
  '"why does it see 3 CPUs?"': "the original has no such commands",
  "cgroup v1, hybrid": "is about 7.0; Debian has 5.0.3",
  "pid 1 not readable (Yama)": "is about 6.0 and 7.0; Debian has 5.0.3",
};

const hierarchies = mountedHierarchies();
const onV2 = hierarchies.every(({ version }) => version === 2);
const needsV2 = onV2 ? false : "is about cgroup v2 alone";
const MIB = 1 << 20;

const tested = new Set<string>();

void describe("the README's table about LXCFS", { skip: whyNoPeer() }, () => {
  let peer: Server;
  let ours: Server;
  const containers: Container[] = [];

  before(async () => {
    [peer, ours] = await Promise.all([
      Server.start({ kind: "peer" }),
      Server.start({ kind: "ours" }),
    ]);
  });
  after(async () => {
    for (const container of containers) container.stop();
    await peer?.stop();
    await ours?.stop();
  });

  const container = async (server: Server, options: ContainerOptions = {}): Promise<Container> => {
    const made = await Container.start({ mountpoint: server.mountpoint, ...options });
    containers.push(made);
    return made;
  };
  /** The same container twice, on each of them. */
  const both = async (options: ContainerOptions = {}): Promise<[Container, Container]> => [
    await container(peer, options),
    await container(ours, options),
  ];
  const row = (
    name: string,
    work: () => void | Promise<void>,
    skip: string | false = false,
  ): void => {
    tested.add(name);
    void test(name, { skip }, work);
  };
  const meminfo = (of: Container): Map<string, number> => keyedNumbers(of.read("/proc/meminfo"));
  const hostMeminfo = (): Map<string, number> =>
    keyedNumbers(readFileSync("/proc/meminfo", "utf8"));

  row("server killed, crashed or upgraded", async () => {
    const dying = await Server.start({ kind: "peer" });
    try {
      const theirs = await container(dying);
      for (const pid of dying.pids()) process.kill(pid, "SIGKILL");
      await waitFor("it is dead", () => theirs.tryExec(["cat", "/proc/uptime"]).status !== 0);
      assert.match(theirs.tryExec(["cat", "/proc/uptime"]).stderr, /not connected/);
    } finally {
      dying.kill();
    }
    const own = await container(ours);
    process.kill(statusOf(ours).serverPid, "SIGKILL");
    assert.match(own.read("/proc/uptime"), /^\d/);
  });

  row("cgroup tree (`--enable-cgroup`)", () => {
    const shown = existsSync(join(peer.mountpoint, "cgroup"))
      ? readdirSync(join(peer.mountpoint, "cgroup"))
      : [];
    assert.equal(shown.includes("memory"), !onV2, shown.join(" "));
  });

  row(
    "CPU time in `/proc/stat` on cgroup v2",
    async () => {
      const [theirs, own] = await both({ limits: { memoryBytes: 64 * MIB } });
      const used = (of: Container): number =>
        Number(/^cpu +(\d+) \d+ (\d+)/.exec(of.read("/proc/stat"))?.[1]);
      const hosts = Number(/^cpu +(\d+)/.exec(readFileSync("/proc/stat", "utf8"))?.[1]);
      assert.ok(used(theirs) > hosts / 2, `${used(theirs)} of ${hosts}`);
      assert.ok(used(own) < hosts / 2 && used(own) < 1000, `${used(own)} of ${hosts}`);
    },
    needsV2,
  );

  row(
    "Mapped, Dirty, Writeback, AnonHugePages on v2",
    async () => {
      // A program that was written in the container is mapped by it.
      const directory = mkdtempSync(join(tmpdir(), "lxcfs-mapped-"));
      guardWith(`rm -rf '${directory}'`);
      const script =
        'own=$(mktemp -p "$0") && cp "$(command -v sleep)" "$own" && chmod 700 "$own" && "$own" 1000';
      const init = ["sh", "-c", script, directory];
      const [theirs, own] = await both({ limits: { memoryBytes: 64 * MIB }, init });
      await waitFor("it is mapped", () => (meminfo(own).get("Mapped") ?? 0) > 0);
      for (const name of ["Mapped", "Dirty", "Writeback", "AnonHugePages"]) {
        assert.equal(meminfo(theirs).get(name), 0, name);
      }
    },
    needsV2,
  );

  row("KernelStack, PageTables, Percpu, KReclaimable", async () => {
    const [theirs, own] = await both({ limits: { memoryBytes: 64 * MIB } });
    for (const name of ["KernelStack", "PageTables", "Percpu", "KReclaimable"]) {
      const host = hostMeminfo().get(name) ?? 0;
      const [their, its] = [meminfo(theirs).get(name) ?? 0, meminfo(own).get(name) ?? 0];
      assert.ok(Math.abs(their - host) < host / 4, `${name}: ${their}, the host has ${host}`);
      assert.ok(its < host / 4, `${name}: ${its}, the host has ${host}`);
      if (onV2 && name === "KernelStack") assert.ok(its > 0);
    }
  });

  row(
    "disk statistics and I/O pressure on v2",
    async () => {
      const [theirs, own] = await both();
      const names = (text: string): string[] =>
        text.split("\n").flatMap((line) => line.trim().split(/\s+/)[2] ?? []);
      const hosts = names(readFileSync("/proc/diskstats", "utf8"));
      assert.deepEqual(names(theirs.read("/proc/diskstats")), hosts);
      assert.ok(names(own.read("/proc/diskstats")).length < hosts.length);
    },
    needsV2,
  );

  row("number of CPUs", async () => {
    const [theirs, own] = await both({ limits: { cpuset: "1" } });
    const idsOf = (of: Container): string[] => {
      const list = (name: string): string => of.read(`/sys/devices/system/cpu/${name}`).trim();
      const cpuinfo = [...of.read("/proc/cpuinfo").matchAll(/^processor\s*: (\d+)/gm)];
      const stat = [...of.read("/proc/stat").matchAll(/^cpu(\d+)/gm)];
      const ids = [cpuinfo, stat].map((rows) => rows.map(([, id]) => id).join(","));
      return [...ids, list("online"), list("present"), list("possible")];
    };
    assert.ok(new Set(idsOf(theirs)).size > 1, idsOf(theirs).join(" | "));
    assert.deepEqual([...new Set(idsOf(own))], ["0"]);
    assert.equal(cpuinfoBlocks(own.read("/proc/cpuinfo")).length, 1);
  });

  row("`/proc/slabinfo`", () => {
    const rows = (server: Server): number =>
      readFileSync(join(server.mountpoint, "proc/slabinfo"), "latin1").split("\n").length;
    const mode = (server: Server): number =>
      statSync(join(server.mountpoint, "proc/slabinfo")).mode & 0o777;
    assert.equal(mode(peer), 0o444);
    assert.ok(rows(peer) > 20);
    assert.equal(mode(ours), 0o400);
  });

  row("load average", async () => {
    const directory = mkdtempSync(join(tmpdir(), "lxcfs-peer-"));
    const mountPoint = join(directory, "mnt");
    mkdirSync(mountPoint);
    const undo = guardWith(`umount -l '${mountPoint}'; rm -rf --one-file-system '${directory}'`);
    const plain = spawn("/usr/bin/lxcfs", ["-f", "-p", join(directory, "pid"), mountPoint]);
    try {
      await waitFor("it serves", () => existsSync(join(mountPoint, "proc/loadavg")));
      const theirs = await Container.start({ mountpoint: mountPoint });
      const own = await container(ours);
      try {
        const threads = (of: Container): number =>
          Number(of.read("/proc/loadavg").split(/[ /]/)[4]);
        assert.ok(threads(theirs) > 20, theirs.read("/proc/loadavg"));
        assert.ok(threads(own) < 10, own.read("/proc/loadavg"));
      } finally {
        theirs.stop();
      }
    } finally {
      plain.kill("SIGKILL");
      undo.run();
    }
  });

  row("shared pid namespaces (pods), hostPID", async () => {
    for (const [server, expected] of [
      [peer, 128],
      [ours, 64],
    ] as const) {
      const pause = await container(server, { limits: { memoryBytes: 128 * MIB } });
      const beside = await container(server, {
        limits: { memoryBytes: 64 * MIB },
        pidNamespaceOf: pause.initPid,
      });
      assert.equal(meminfo(beside).get("MemTotal"), expected * 1024, server.kind);
    }
  });

  row("reads past the end", () => {
    const past = (server: Server): number => {
      const fd = openSync(join(server.mountpoint, "proc/uptime"), "r");
      try {
        readSync(fd, Buffer.alloc(100), 0, 100, 0);
        return readSync(fd, Buffer.alloc(100), 0, 100, 100_000);
      } finally {
        closeSync(fd);
      }
    };
    assert.throws(() => past(peer), { code: "EINVAL" });
    assert.equal(past(ours), 0);
  });

  void test("no row is left out", () => {
    const readme = readFileSync(join(projectRoot, "README.md"), "utf8");
    const [, ...rows] = [...readme.matchAll(/^\| (\S.*?) +\|/gm)].map(([, name = ""]) => name);
    assert.deepEqual(
      rows.filter((name) => !tested.has(name) && UNTESTED[name] === undefined),
      [],
    );
    for (const name of [...tested, ...Object.keys(UNTESTED)]) assert.ok(rows.includes(name), name);
    assert.match(peerVersion(), /^5\./);
  });
});
