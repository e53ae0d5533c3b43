/** podman from Debian's package, with its hooks directory; crun is its default runtime. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { section, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, busyboxArchive, PODMAN_CONFIGURATION } from "./support.ts";

const document = section("podman and CRI-O");
const IMAGE = "docker.io/library/busybox";

for (const runtime of ["crun", "runc"]) {
  void describe(`podman with ${runtime}`, { skip: whyNoMachine("podman", runtime) }, () => {
    let machine: Machine;

    before(async () => {
      machine = await Machine.start({ hideCgroup2: runtime === "crun" });
      await machine.serve(serveCommand());
      machine.run(PODMAN_CONFIGURATION);
      machine.run(`sed -i '/engine/a runtime = "${runtime}"' /etc/containers/containers.conf`);
      machine.run(`podman import ${busyboxArchive(machine)} ${IMAGE}`);
    });
    after(() => machine?.stop());

    const detached = "podman run -d --name web --memory 256m";
    const memTotal = "podman exec web head -1 /proc/meminfo";

    void test("without the hook, a running container is attached by its name and its id", () => {
      const id = machine.run(`${detached} ${IMAGE} sleep 1000`).trim();
      try {
        assertUnlimited(machine.run(memTotal));
        for (const name of ["web", "podman:web", id, id.slice(0, 12)]) {
          const output = machine.run(`lxcfs attach ${name}`);
          assert.match(output, /^podman:web\b.*: \d+ attached$/m);
          assertLimited(machine.run(memTotal));
          machine.run(`lxcfs detach ${name}`);
          assertUnlimited(machine.run(memTotal));
        }
      } finally {
        machine.try("podman rm -f -t 0 web");
      }
    });

    void test("the hook gives every container its files, pressure included", () => {
      machine.run(document.commands("install"));
      assertLimited(machine.run(document.command("podman run")));
      machine.run(`${detached} ${IMAGE} sleep 1000`);
      try {
        const mounts = machine.run("podman exec web cat /proc/mounts");
        for (const path of ["proc/pressure/cpu", "proc/stat", "sys/devices/system/cpu"]) {
          assert.match(mounts, new RegExp(`^lxcfs /${path} fuse\\.lxcfs `, "m"));
        }
        assert.match(machine.run("podman exec web head -1 /proc/pressure/io"), /^some avg10=/);
        machine.run("lxcfs detach web");
        assertUnlimited(machine.run(memTotal));
      } finally {
        machine.try("podman rm -f -t 0 web");
      }
    });

    void test("without a living lxcfs containers start, and see the machine", () => {
      machine.killServer();
      assertUnlimited(machine.run(document.command("podman run")));
    });

    void test("nothing of the page was left out", () => assert.deepEqual(document.notRun(), []));
  });
}
