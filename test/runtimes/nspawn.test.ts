/**
 * systemd-nspawn by hand, on a machine without systemd: in a cgroup named as its unit's would be.
 * `machinectl start`, which needs systemd, is tested in a virtual machine.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { section, serveCommand } from "./document.ts";
import { Machine, whyNoMachine } from "./machine.ts";
import { assertLimited, assertUnlimited, busyboxArchive } from "./support.ts";

const document = section("systemd-nspawn");

/** Joins a limited cgroup in each hierarchy there is, then becomes nspawn. */
const CONTAINER = (root: string): string => `for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*/; do
  [ -e $hierarchy/cgroup.procs ] || continue
  cgroup=$hierarchy/machine.slice/systemd-nspawn@web.service
  mkdir -p $cgroup
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e $hierarchy/$file ] || for down in $cgroup/.. $cgroup; do cat $hierarchy/$file >$down/$file; done
  done
  [ ! -e $cgroup/memory.limit_in_bytes ] || echo 256M >$cgroup/memory.limit_in_bytes
  echo $$ >$cgroup/cgroup.procs
done
touch ${root}/etc/os-release; mkdir -p ${root}/usr
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=0
exec systemd-nspawn --quiet --register=no --keep-unit --as-pid2 -D ${root} -M web sleep 1000 </dev/null`;

void describe("systemd-nspawn", { skip: whyNoMachine("systemd-nspawn") }, () => {
  let machine: Machine;

  before(async () => {
    machine = await Machine.start();
    await machine.serve(serveCommand());
    busyboxArchive(machine);
    const root = `${machine.directory}/image`;
    await machine.daemon("nspawn", CONTAINER(root), "lxcfs attach --dry-run nspawn:web");
  });
  after(() => machine?.stop());

  const memTotal = (): string => {
    const found = machine.try("lxcfs attach --dry-run --json nspawn:web").stdout;
    const number = /"pid": (\d+)/.exec(found)?.[1];
    return machine.run(`nsenter -t ${number} -m -p -C -- /bin/head -1 /proc/meminfo`);
  };

  void test("a running container is attached, and detached, by its name", () => {
    assertUnlimited(memTotal());
    for (const name of ["web", "nspawn:web"]) {
      assert.match(machine.run(`lxcfs attach ${name}`), /^nspawn:web\b.*: \d+ attached$/m);
      assertLimited(memTotal());
      machine.run(`lxcfs detach ${name}`);
      assertUnlimited(memTotal());
    }
  });

  void test("the drop-in attaches the unit's container by its name", () => {
    machine.run(document.command("install"));
    const installed = "/etc/systemd/system/systemd-nspawn@.service.d/lxcfs.conf";
    const start = /^ExecStartPost=-\/usr\/bin\/(lxcfs .*)%i$/m.exec(
      machine.run(`cat ${installed}`),
    );
    assertUnlimited(memTotal());
    machine.run(`${start?.[1]}web`);
    assertLimited(memTotal());
    // What is left needs a running systemd.
    assert.deepEqual(document.notRun(), ["systemctl daemon-reload"]);
  });
});
