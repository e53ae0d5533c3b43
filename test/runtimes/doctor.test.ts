/** doctor on a machine where each fault is really there: what it says, how it ends, and that its remedy helps. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { busyboxArchive, runBundle } from "./support.ts";

interface Finding {
  readonly check: string;
  readonly severity: string;
  readonly message: string;
  readonly remedy?: string;
}

/** What the doctor counts: notes tell of what works, but could work better. */
const WRONG = ["warning", "error"];

const hierarchies = mountedHierarchies();
const noV1 = hierarchies.every(({ version }) => version === 2) && "cgroup v2 alone";

void describe("doctor", { skip: whyNoMachine("runc") }, () => {
  let machine: Machine;

  before(async () => {
    machine = await Machine.start();
    busyboxArchive(machine);
  });
  after(() => machine?.stop());

  /** The doctor's answer. @param around what it is run by, for faults of its own surroundings */
  const doctor = (around = ""): { exitCode: number; wrong: Finding[]; all: Finding[] } => {
    const { status, stdout, stderr } = machine.try(`${around} lxcfs doctor --json`);
    assert.ok(stdout.startsWith("{"), stdout + stderr);
    const { exitCode, findings } = JSON.parse(stdout) as { exitCode: number; findings: Finding[] };
    assert.equal(status, exitCode);
    for (const { severity, message, remedy } of findings) {
      if (severity !== "ok") assert.ok(remedy, message);
    }
    const wrong = findings.filter(({ severity }) => WRONG.includes(severity));
    return { exitCode, wrong, all: findings };
  };
  /** Asserts that this one thing is wrong, and how the doctor ends. @returns what it says */
  const only = (check: string, exitCode: number, around = ""): Finding => {
    const found = doctor(around);
    assert.deepEqual(
      found.wrong.map((each) => each.check),
      [check],
      JSON.stringify(found.wrong),
    );
    assert.equal(found.exitCode, exitCode);
    return found.wrong[0] as Finding;
  };
  const healthy = (): void => {
    const { exitCode, wrong } = doctor();
    assert.deepEqual(wrong, []);
    assert.equal(exitCode, 0);
  };
  const serve = async (): Promise<void> => await machine.serve(serveCommand());
  const signalServers = (signal: string): void =>
    void machine.run(`for try in 1 2 3; do
      for link in $(find /proc/[0-9]*/fd -lname /dev/fuse 2>/dev/null); do
        pid=\${link#/proc/}; kill -${signal} \${pid%%/*} 2>/dev/null || :
      done; done`);
  const startContainer = (): void => runBundle(machine, "runc", { limited: false });
  const removeContainer = (): void => void machine.try("runc delete -f web");
  /** Runs the doctor in mounts of its own, changed by `script`. */
  const inMounts = (script: string): string => `unshare -m sh -c '${script} && exec "$@"' sh`;

  void test("no server, then a healthy machine", async () => {
    assert.match(only("server", 2).message, /no lxcfs-ts serves anywhere/);
    await serve();
    healthy();
  });

  void test("a dead mount; a start mends it", async () => {
    signalServers("KILL");
    const { exitCode, wrong } = doctor();
    assert.equal(exitCode, 2);
    const stale = wrong.find(({ check }) => check === "stale-mount");
    assert.match(stale?.message ?? "", /\/var\/lib\/lxcfs is dead: its server is gone/);
    assert.ok(stale?.remedy?.startsWith(serveCommand()), stale?.remedy);
    await serve();
    healthy();
  });

  void test("a container without the files; attaching mends it", () => {
    startContainer();
    try {
      const found = only("containers", 1);
      assert.match(found.message, /^1 of 1 containers see the host's files: runc:web$/);
      const [remedy = ""] = found.remedy?.split(";") ?? [];
      machine.run(remedy);
      healthy();
    } finally {
      removeContainer();
    }
  });

  void test("a container whose files died with another mount; heal mends it", async () => {
    startContainer();
    try {
      machine.run("lxcfs attach web");
      machine.killServer();
      await serve();
      const found = only("containers-stale", 1);
      assert.match(found.message, /process \d+ \(\d+ files\)/);
      machine.run(found.remedy ?? "");
      healthy();
    } finally {
      removeContainer();
    }
  });

  void test("a server that hangs", () => {
    signalServers("STOP");
    try {
      assert.ok(doctor().wrong.some(({ check }) => check === "hung-mount"));
      assert.equal(doctor().exitCode, 2);
    } finally {
      signalServers("CONT");
    }
    healthy();
  });

  const noPeer = existsSync("/usr/bin/lxcfs") ? false : "Debian's lxcfs is not installed";
  void test("another lxcfs beside ours", { skip: noPeer }, async () => {
    const mountPoint = `${machine.directory}/peer`;
    machine.run(`mkdir ${mountPoint}`);
    const peer = `exec /usr/bin/lxcfs -f -p ${machine.directory}/peer.pid ${mountPoint}`;
    await machine.daemon("peer", peer, `head -c1 ${mountPoint}/proc/uptime`);
    const found = only("another-lxcfs", 1);
    assert.equal(found.message, `another lxcfs serves ${mountPoint}`);
    machine.run(
      `kill $(cat ${machine.directory}/peer.pid); sleep 0.2; umount -l ${mountPoint} || :`,
    );
    healthy();
  });

  void test("every container shown the host's values by a signal", () => {
    machine.run("kill -USR2 $(cat /run/lxcfs.pid); sleep 0.3");
    only("host-view", 1);
    machine.run("kill -USR2 $(cat /run/lxcfs.pid); sleep 0.3");
    healthy();
  });

  void test("hidepid", () => {
    const found = only("hidepid", 1, inMounts("mount -t proc -o hidepid=2 proc /proc"));
    assert.match(found.message, /hidepid=(?:2|invisible)/);
  });

  for (const [v1, v2, words] of [
    ["memory", "memory", /^no memory controller: meminfo and swaps show the host's memory$/],
    ["blkio", "io", /^no io controller: diskstats are the host's$/],
  ] as const) {
    void test(`no ${v2} controller`, { skip: noV1 }, () => {
      const { mountpoint = "" } =
        hierarchies.find(({ controllers, version }) => version === 1 && controllers.includes(v1)) ??
        {};
      const found = only("controllers", 1, inMounts(`umount ${mountpoint}`));
      assert.match(found.message, words);
    });
  }

  void test("no cgroups at all", () => {
    const found = only("cgroups", 2, inMounts("umount -R /sys/fs/cgroup"));
    assert.match(found.message, /no cgroups are mounted/);
  });

  void test("no /dev/fuse", () => {
    const found = only("fuse", 2, inMounts("mount -t tmpfs tmpfs /dev"));
    assert.match(found.message, /\/dev\/fuse cannot be opened/);
  });

  void test("no right to look at other processes", () => {
    const { all } = doctor("setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace");
    const found = all.find(({ check }) => check === "ptrace");
    assert.equal(found?.severity, "note");
    assert.match(found?.remedy ?? "", /CAP_SYS_PTRACE/);
  });
});
