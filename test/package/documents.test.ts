/** README, install.md and operations.md: a stranger's way through them, each command as it is written. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { section } from "../runtimes/document.ts";
import { Machine, whyNoMachine } from "../runtimes/machine.ts";
import { busyboxArchive, runBundle } from "../runtimes/support.ts";
import { guardWith } from "../support/guard.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { OverlayMachine } from "./overlay.ts";

const README = "README.md";
const OPERATIONS = "docs/operations.md";
const INSTALL = "docs/install.md";
/** npm and Debian's mirror are somewhere else. */
const DOWNLOAD_MS = 400_000;

void describe("commands of README.md and operations.md", { skip: whyNoMachine("runc") }, () => {
  let machine: Machine;
  const start = section("Run it", README);
  const asking = section("Ask it", README);
  const why = section("Asking why", OPERATIONS);
  let pid = "";

  before(async () => {
    machine = await Machine.start();
    busyboxArchive(machine);
    // Its own test, below, since it takes a minute.
    start.command("npm ci");
    machine.run(start.command("mkdir"));
    const serve = start.command("bin/lxcfs /var/lib/lxcfs");
    await machine.daemon("lxcfs", `exec ${serve}`, "head -c1 /var/lib/lxcfs/proc/uptime");
    runBundle(machine, "runc");
    pid = machine.run("runc state web | sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p'").trim();
  });
  after(() => machine?.stop());

  void test("a container is attached, and asked about", () => {
    machine.run(start.command("attach web"));
    assert.match(machine.run("runc exec web head -1 /proc/meminfo"), /^MemTotal: +262144 kB$/m);
    assert.match(machine.run(asking.command("explain")), /^CPUs \d+: .*\n(.*\n)*policy cpuset: /m);
    assert.match(machine.run(asking.command("show")), /^MemTotal: +262144 kB$/m);
    assert.match(
      machine.run(asking.command("doctor")),
      /^ok +containers: all 1 have their files$/m,
    );
    assert.match(machine.run(asking.command("bin/lxcfs ps")), /^runc +web +\d+ .*by path/m);
    assert.match(machine.run(asking.command("bin/lxcfs top")), /^runc:web /m);
    assert.deepEqual([...start.notRun(), ...asking.notRun()], []);
  });

  void test("the same by the page about running it", () => {
    machine.run(why.command("doctor"));
    machine.run(why.command("lxcfs ps"));
    machine.run(why.command("lxcfs top"));
    machine.run(why.command("explain meminfo --container web"));
    // The page's number stands for one of the reader's own.
    for (const part of ["show meminfo", "explain cpuinfo"]) {
      machine.run(why.command(part).replace("4711", pid));
    }
    assert.deepEqual(why.notRun(), []);
    const upgrade = section("Upgrade", OPERATIONS);
    assert.match(
      machine.run(upgrade.command("lxcfs upgrade")),
      /^upgraded \/var\/lib\/lxcfs from /,
    );
    assert.deepEqual(upgrade.notRun(), []);
    const status = section("Status and metrics", OPERATIONS);
    machine.run(status.exactly("lxcfs status"));
    JSON.parse(machine.run(status.exactly("lxcfs status --json")));
    assert.deepEqual(status.notRun(), []);
  });
});

const noInstall = ["npm", "dpkg-deb", "git"].filter((program) => !installed(program));

void describe("commands of install.md", { skip: noInstall.length > 0 && noInstall.join() }, () => {
  let directory: string;
  let machine: OverlayMachine;

  before(async () => {
    machine = await OverlayMachine.start();
    directory = mkdtempSync(join(tmpdir(), "lxcfs-checkout-"));
    guardWith(`rm -rf '${directory}'`);
    // What a clone of this tree has.
    const copy = `cd '${projectRoot}' && git ls-files -z | xargs -0 cp --parents -t '${directory}'`;
    run(["sh", "-c", copy]);
  });
  after(async () => {
    await machine?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const inCheckout = (script: string): string =>
    run(["sh", "-c", `cd '${directory}' && ${script}`], { timeoutMs: DOWNLOAD_MS });

  void test("a fresh checkout is built, packed and installed", () => {
    const debian = section("Debian and Ubuntu", INSTALL);
    inCheckout(debian.command("npm ci"));
    assert.match(inCheckout("bin/lxcfs --version"), /^"\d+\.\d+\.\d+"\n$/);
    // The same first command, in four places.
    for (const [title, page] of [
      ["From a checkout", INSTALL],
      ["npm", INSTALL],
      ["Run it", README],
    ] as const) {
      assert.equal(
        section(title, page).command("npm ci"),
        section("Debian and Ubuntu", INSTALL).command("npm ci"),
      );
    }
    inCheckout(debian.command("tools/build-deb.sh"));
    run(["sh", "-c", `cp '${directory}'/*.deb '${machine.exchange}'`]);
    const install = debian.command("apt-get install").replace("install ", "install -y ");
    const { status, stdout, stderr } = machine.sh(`cd ${machine.exchange} && ${install}`, 240_000);
    assert.equal(status, 0, stdout + stderr);
    assert.match(machine.sh("lxcfs --version").stdout, /^"\d+\.\d+\.\d+"\n$/);
    assert.match(machine.sh("readlink -f $(command -v lxcfs)").stdout, /^\/usr\/bin\/lxcfs\n$/);
    assert.deepEqual(debian.notRun(), []);
  });
});
