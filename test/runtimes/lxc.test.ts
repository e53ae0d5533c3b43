/** LXC from Debian's package, a container made by its busybox template, the page's installation. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitFor } from "../support/wait.ts";
import { section, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited } from "./support.ts";

const document = section("LXC");

/** What `lxc-create -t download` would put there, without a network. */
const CONFIGURATION = `cat >/run/web.conf <<'END'
lxc.include = /usr/share/lxc/config/common.conf
lxc.net.0.type = empty
lxc.apparmor.profile = unconfined
lxc.cgroup.memory.limit_in_bytes = 256M
lxc.cgroup2.memory.max = 256M
END
lxc-create -n web -t busybox -f /run/web.conf >&2`;

void describe("LXC", { skip: whyNoMachine("lxc-start", "lxc-create") }, () => {
  let machine: Machine;

  before(async () => {
    machine = await Machine.start();
    await machine.serve(serveCommand());
    // The original's package may be on this machine, with files of the same names.
    machine.run("rm -rf /usr/share/lxcfs /usr/share/lxc/config/common.conf.d/*lxcfs*");
    machine.run(CONFIGURATION);
  });
  after(() => machine?.stop());

  // It hands its output to what stays running.
  const start = (): string =>
    machine.run(
      `${document.exactly("lxc-start -n web")} </dev/null >/run/log 2>&1 || cat /run/log`,
    );
  const memTotal = (): string => machine.run(document.command("/proc/meminfo"));

  void test("a running container is attached, and detached, by its name", () => {
    start();
    try {
      assertUnlimited(memTotal());
      for (const name of ["web", "lxc:web"]) {
        assert.match(machine.run(`lxcfs attach ${name}`), /^lxc:web\b.*: \d+ attached$/m);
        assertLimited(memTotal());
        machine.run(`lxcfs detach ${name}`);
        assertUnlimited(memTotal());
      }
    } finally {
      machine.try("lxc-stop -k -n web");
    }
  });

  void test("once installed, the hook gives a container its files, pressure included", () => {
    machine.run(document.commands("install"));
    start();
    try {
      assertLimited(memTotal());
      const mounts = machine.run("lxc-attach -n web -- cat /proc/mounts");
      for (const path of ["proc/pressure", "proc/stat", "sys/devices/system/cpu"]) {
        assert.match(mounts, new RegExp(`^lxcfs /${path} fuse\\.lxcfs `, "m"));
      }
      const pressure = "lxc-attach -n web -- head -1 /proc/pressure/memory";
      assert.match(machine.run(pressure), /^some avg10=/);
    } finally {
      machine.try("lxc-stop -k -n web");
    }
  });

  void test("a container that reboots has its files and a new age in its next life", async () => {
    const hook = "/usr/share/lxcfs/lxc.reboot.hook";
    machine.run(`sed -i '1a echo "$LXC_TARGET" >>/run/targets' ${hook}`);
    start();
    try {
      const uptime = (): number =>
        Number(machine.run("lxc-attach -n web -- cat /proc/uptime").split(" ")[0]);
      await waitFor("it is some seconds old", () => uptime() > 3, 20_000, 300);
      const before = machine.run("lxc-info -n web -pH");
      const beganMs = performance.now();
      machine.try("lxc-attach -n web -- reboot -f");
      await waitFor(
        "its next life",
        () => ![before, ""].includes(machine.try("lxc-info -n web -pH").stdout),
        30_000,
        200,
      );
      await waitFor(
        "it can be entered",
        () => machine.try("lxc-attach -n web -- true").status === 0,
      );
      const age = uptime();
      const sinceSeconds = (performance.now() - beganMs) / 1000;
      assert.ok(age < sinceSeconds, `${age} s old, ${sinceSeconds} s after the reboot`);
      assertLimited(memTotal());
      assert.equal(machine.run("cat /run/targets"), "reboot\n");
    } finally {
      machine.try("lxc-stop -k -n web");
    }
  });

  void test("without a living lxcfs containers start, and see the machine", () => {
    machine.killServer();
    start();
    try {
      assertUnlimited(memTotal());
    } finally {
      machine.try("lxc-stop -k -n web");
    }
  });

  void test("nothing of the page was left out", () => assert.deepEqual(document.notRun(), []));
});
