/** containerd from Debian's package, asked by ctr. What its configuration says is for Kubernetes. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { guardWith } from "../support/guard.ts";
import { section, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, ociArchive } from "./support.ts";

const document = section("containerd");
const IMAGE = "docker.io/library/busybox:latest";

void describe("containerd", { skip: whyNoMachine("containerd", "ctr", "runc") }, () => {
  let machine: Machine;
  const scratch = mkdtempSync(join(tmpdir(), "lxcfs-image-"));
  guardWith(`rm -rf '${scratch}'`);

  before(async () => {
    machine = await Machine.start();
    await machine.serve(serveCommand());
    machine.run(section("Docker").command("install"));
    machine.run(`mkdir -p /etc/containerd; cat >/etc/containerd/config.toml <<'END'
${document.file("toml")}END`);
    await machine.daemon("containerd", "exec containerd --log-level warn", "ctr version");
    machine.run(`ctr image import ${ociArchive(machine, scratch, IMAGE)}`);
  });
  after(() => {
    machine?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  const start = (flags: string): string =>
    machine.run(`ctr run -d --memory-limit 268435456 ${flags} ${IMAGE} web sleep 1000`);
  const exec = (command: string): string =>
    machine.run(`ctr task exec --exec-id test-$$ web ${command}`);
  const remove = (): void => {
    machine.try("ctr task kill -s KILL web; ctr task rm -f web; ctr container rm web");
  };

  void test("its configuration names the runtime wrapper", () => {
    const dump = machine.run("containerd config dump");
    assert.match(dump, /^ *BinaryName = "\/usr\/share\/lxcfs\/oci-runtime"$/m);
  });

  void test("ctr with the wrapper: every file, pressure included", () => {
    assertLimited(machine.run(document.command("ctr run")));
    start("--runc-binary /usr/share/lxcfs/oci-runtime");
    try {
      const mounts = exec("cat /proc/mounts");
      for (const path of ["proc/pressure/cpu", "proc/stat", "sys/devices/system/cpu"]) {
        assert.match(mounts, new RegExp(`^lxcfs /${path} fuse\\.lxcfs `, "m"));
      }
      assert.match(exec("head -1 /proc/pressure/memory"), /^some avg10=/);
    } finally {
      remove();
    }
  });

  void test("a running container is attached, and detached, by its name", () => {
    start("");
    try {
      assertUnlimited(exec("head -1 /proc/meminfo"));
      for (const name of ["web", "containerd:web"]) {
        assert.match(machine.run(`lxcfs attach ${name}`), /^containerd:web\b.*: \d+ attached$/m);
        assertLimited(exec("head -1 /proc/meminfo"));
        machine.run(`lxcfs detach ${name}`);
        assertUnlimited(exec("head -1 /proc/meminfo"));
      }
    } finally {
      remove();
    }
  });

  void test("without a living lxcfs containers start, and see the machine", () => {
    machine.killServer();
    assertUnlimited(machine.run(document.command("ctr run")));
  });

  void test("nothing of the page was left out", () => assert.deepEqual(document.notRun(), []));
});
