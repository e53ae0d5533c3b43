/** Docker from Debian's package docker.io: plain flags, the runtime wrapper, attach by name. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { section, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, busyboxArchive } from "./support.ts";

const document = section("Docker");

/** No network, no firewall rules: both are the real machine's. Layers are plain directories. */
const DOCKERD =
  "exec dockerd --bridge=none --iptables=false --ip6tables=false --storage-driver=vfs";

void describe("Docker", { skip: whyNoMachine("dockerd", "docker", "runc") }, () => {
  let machine: Machine;

  before(async () => {
    machine = await Machine.start();
    await machine.serve(serveCommand());
    machine.run(document.command("install"));
    machine.run(
      `mkdir -p /etc/docker; cat >/etc/docker/daemon.json <<'END'\n${document.file("json")}END`,
    );
    await machine.daemon("dockerd", DOCKERD, "docker info");
    machine.run(`docker import ${busyboxArchive(machine)} busybox`);
  });
  after(() => machine?.stop());

  void test("with plain flags, as the original documents", () => {
    const command = document.command("-v /var/lib/lxcfs");
    // The default runtime here adds the files; the flags alone must do it.
    const plain = command.replace("docker run", "docker run --runtime runc");
    assertLimited(machine.run(plain));
    const mounts = machine.run(plain.replace("head -1 /proc/meminfo", "cat /proc/mounts"));
    const bound = [...mounts.matchAll(/^lxcfs (\S+) fuse\.lxcfs ro,/gm)].map((match) => match[1]);
    const flags = [...command.matchAll(/-v \S+?:(\S+):ro/g)].map((match) => match[1]);
    assert.deepEqual(bound.toSorted(), flags.toSorted());
  });

  void test("without flags, by the default runtime, pressure included", () => {
    const output = machine.run(document.command("/proc/pressure/memory"));
    assertLimited(output);
    assert.match(output, /^some avg10=/m);
    const mounts = machine.run("docker run --rm busybox cat /proc/mounts");
    for (const path of ["proc/pressure/cpu", "proc/stat", "sys/devices/system/cpu"]) {
      assert.match(mounts, new RegExp(`^lxcfs /${path} fuse\\.lxcfs `, "m"));
    }
  });

  void test("by the runtime of that name", () => {
    assertLimited(machine.run(document.command("--runtime lxcfs")));
  });

  void test("a container that runs already is attached, and detached, by its name", () => {
    const attach = section("Any container that already runs");
    machine.run("docker run -d --runtime runc --name web --memory 256m busybox sleep 1000");
    const meminfo = (): string => machine.run("docker exec web head -1 /proc/meminfo");
    try {
      assertUnlimited(meminfo());
      assert.match(machine.run(attach.command("--dry-run")), /docker:web.*: \d+ would be attached/);
      assertUnlimited(meminfo());
      for (const part of ["attach web", "docker:web", "4711", "attach --all"]) {
        const command =
          part === "attach --all" ? attach.exactly(`lxcfs ${part}`) : attach.command(part);
        const pid = machine.run("docker inspect -f '{{.State.Pid}}' web").trim();
        assert.match(machine.run(command.replace("4711", pid)), /: \d+ (?:attached|already)$/m);
        assertLimited(meminfo());
        assertLimited(machine.run(`cat /proc/${pid}/root/proc/meminfo`));
        assert.match(machine.run("docker exec web head -1 /proc/pressure/memory"), /^some avg10=/);
        machine.run(attach.command("detach web"));
        assertUnlimited(meminfo());
      }
      assert.deepEqual(attach.notRun(), []);
    } finally {
      machine.try("docker rm -f web");
    }
  });

  void test("a name that two runtimes know: one line, exit code 4, nothing attached", () => {
    const bundle = `${machine.directory}/bundle`;
    machine.run(`docker run -d --runtime runc --name twice --memory 256m busybox sleep 1000
mkdir -p ${bundle}; cd ${bundle}; runc spec
sed -i 's/"terminal": true/"terminal": false/; s/"sh"$/"sleep", "1000"/; s#"rootfs"#"${machine.directory}/image"#' config.json
runc run -d twice </dev/null >log 2>&1`);
    try {
      const { status, stderr } = machine.try("lxcfs attach twice");
      assert.equal(status, 4, stderr);
      assert.match(
        stderr,
        /^lxcfs attach: "twice" names 2 containers: .*docker:twice.*runc:twice.*\n$/,
      );
      assert.doesNotMatch(machine.run("docker exec twice cat /proc/mounts"), /fuse\.lxcfs/);
      machine.run("lxcfs attach docker:twice");
      assertLimited(machine.run("docker exec twice head -1 /proc/meminfo"));
      assert.doesNotMatch(machine.run("runc exec twice cat /proc/mounts"), /fuse\.lxcfs/);
    } finally {
      machine.try("docker rm -f twice; runc delete -f twice");
    }
  });

  void test("a runtime that is not installed: one line, exit code 7", () => {
    const { status, stdout, stderr } = machine.try("lxcfs attach crio:web");
    assert.equal(status, 7, stderr);
    assert.match(stdout + stderr, /^lxcfs attach: crio is not installed here[^\n]*\n$/);
  });

  void test("a name that nobody has: one line, exit code 3", () => {
    for (const name of ["nobody", "docker:nobody"]) {
      const { status, stdout, stderr } = machine.try(`lxcfs attach ${name}`);
      assert.equal(status, 3, stderr);
      assert.match(
        stdout + stderr,
        /^lxcfs attach: no running container is called "\S+";[^\n]*\n$/,
      );
    }
  });

  void test("without a living lxcfs containers start, and see the machine", () => {
    machine.killServer();
    assertUnlimited(machine.run("docker run --rm --memory 256m busybox head -1 /proc/meminfo"));
    const { status, stderr } = machine.try("lxcfs attach --all");
    assert.equal(status, 6);
    assert.match(stderr, /^lxcfs attach: no lxcfs is mounted[^\n]*\n$/);
  });

  void test("nothing of the page was left out", () => assert.deepEqual(document.notRun(), []));
});
