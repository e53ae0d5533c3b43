/** The Debian package, built, installed over Debian's lxcfs, upgraded in place, and removed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { OverlayMachine } from "./overlay.ts";

const skip =
  whyNoMounts() || (installed("dpkg-deb") && installed("npm") ? false : "needs dpkg-deb and npm");

void describe("the Debian package", { skip }, () => {
  let machine: OverlayMachine;
  const packages: string[] = [];
  let hostsState: string;

  before(async () => {
    hostsState = readFileSync("/var/lib/dpkg/status", "utf8");
    machine = await OverlayMachine.start();
    // This machine's Node.js: an installation is tested, not a download.
    const build = join(projectRoot, "tools/build-deb.sh");
    for (const version of ["9.0.0", "9.0.1"]) {
      const args = ["--node", process.execPath, "--version", version];
      const argv = ["sh", build, ...args, "--output", machine.exchange];
      packages.push(run(argv, { timeoutMs: 300_000 }).trim());
    }
  });
  after(async () => await machine?.stop());

  const sh = (script: string): string => {
    const { status, stdout, stderr } = machine.sh(script, 240_000);
    assert.equal(status, 0, `${script}: ${stdout}${stderr}`);
    return stdout;
  };

  void test("takes the place of Debian's lxcfs", () => {
    sh(`dpkg -i ${packages[0]}`);
    assert.match(
      sh("dpkg-query -W -f '${Status} ${Version}' lxcfs-ts"),
      /^install ok installed 9\.0\.0$/,
    );
    assert.doesNotMatch(sh("dpkg-query -W -f '${Status}' lxcfs 2>/dev/null || :"), / installed$/);
    assert.equal(sh("lxcfs --version"), '"9.0.0"\n');
    for (const file of [
      "/lib/systemd/system/lxcfs.service",
      "/usr/share/lxcfs/lxc.mount.hook",
      "/usr/share/lxcfs/oci-hook",
      "/usr/share/lxc/config/common.conf.d/00-lxcfs.conf",
      "/usr/share/containers/oci/hooks.d/lxcfs.json",
      "/usr/share/man/man1/lxcfs.1.gz",
      "/usr/share/bash-completion/completions/lxcfs",
      "/usr/share/zsh/vendor-completions/_lxcfs",
      "/usr/share/fish/vendor_completions.d/lxcfs.fish",
      "/var/lib/lxcfs",
    ]) {
      sh(`test -e ${file}`);
    }
    assert.equal(sh("dpkg --verify lxcfs-ts"), "");
  });

  void test("works without a Node.js of the machine", () => {
    sh("mount --bind /dev/null $(readlink -f $(command -v node))");
    assert.equal(sh("lxcfs --version"), '"9.0.0"\n');
  });

  void test("is upgraded in place while no read fails, and removed without a trace", async () => {
    const server = machine.spawn(["/usr/bin/lxcfs", "/var/lib/lxcfs"]);
    let said = "";
    server.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
    const answers = (): boolean => machine.sh("head -c1 /var/lib/lxcfs/proc/uptime").status === 0;
    await waitFor("it serves", answers, 30_000, 200).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${said}`);
    });
    const log = join(machine.exchange, "reads");
    const reader = machine.spawn([
      ...["sh", "-c"],
      `n=0; while [ ! -e ${log}.stop ]; do
         if read -r line </var/lib/lxcfs/proc/uptime && [ -n "$line" ]; then n=$((n+1)); else echo failed; fi
         sleep 0.01
       done >${log} 2>&1; echo $n >${log}.count`,
    ]);
    sh(`dpkg -i ${packages[1]}`);
    const status = JSON.parse(sh("lxcfs status --json")) as Record<string, unknown>;
    assert.equal(status["version"], "9.0.1");
    assert.equal(status["upgrades"], 1);
    assert.equal(status["restarts"], 0);
    sh(`touch ${log}.stop`);
    await waitFor("the reader ends", () => reader.exitCode !== null);
    assert.equal(readFileSync(log, "utf8"), "");
    assert.ok(Number(readFileSync(`${log}.count`, "utf8")) > 20);

    // One that cannot serve: the old one goes on, and dpkg says so.
    const broken = join(machine.exchange, "broken");
    sh(`dpkg-deb -R ${packages[1]} ${broken}
      sed -i 's/^Version: .*/Version: 9.0.2/' ${broken}/DEBIAN/control
      echo 'throw new Error("broken")' >${broken}/usr/lib/lxcfs-ts/dist/bundle/daemon/worker.js
      dpkg-deb -Zgzip -z1 -b ${broken} ${broken}.deb`);
    const installed = machine.sh(`dpkg -i ${broken}.deb`, 240_000);
    assert.equal(installed.status, 0, installed.stderr);
    assert.match(
      installed.stderr,
      /^lxcfs upgrade: Cannot upgrade .*version 9\.0\.1 goes on serving$/m,
    );
    assert.match(installed.stderr, /^lxcfs-ts: the old version goes on serving$/m);
    assert.ok(answers());

    sh("echo '# mine' >>/etc/default/lxcfs");
    sh("dpkg -r lxcfs-ts");
    await waitFor("the server ends", () => server.exitCode !== null || server.signalCode !== null);
    assert.equal(sh("grep fuse.lxcfs /proc/mounts || :"), "");
    sh("test ! -e /usr/lib/lxcfs-ts && test ! -e /usr/bin/lxcfs && test -e /etc/default/lxcfs");
    sh("dpkg -P lxcfs-ts");
    sh("test ! -e /etc/default/lxcfs && test ! -e /lib/systemd/system/lxcfs.service");
    assert.equal(
      sh("find /etc /usr/lib /usr/share /usr/bin /lib /var/lib -name '*lxcfs-ts*' | head"),
      "",
    );
  });

  void test("leaves this machine's own packages alone", () => {
    assert.equal(readFileSync("/var/lib/dpkg/status", "utf8"), hostsState);
  });
});

void describe("building the Debian package", () => {
  for (const [what, args, message] of [
    ["an architecture that is not made", ["--arch", "mips"], /no package is made for mips/],
    ["an option that is none", ["--wrong", "x"], /unknown option --wrong/],
    ["a Node.js that is none", ["--node", "/nowhere"], /\/nowhere is no program/],
  ] as const) {
    void test(`${what}: one line, and nothing is built`, () => {
      const output = mkdtempSync(join(tmpdir(), "lxcfs-deb-"));
      try {
        const argv = ["sh", join(projectRoot, "tools/build-deb.sh"), ...args, "--output", output];
        assert.throws(() => run(argv), message);
      } finally {
        rmSync(output, { recursive: true });
      }
    });
  }
});
