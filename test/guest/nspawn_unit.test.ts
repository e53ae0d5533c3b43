/** A container started by machinectl's unit gets its files by the drop-in. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test, describe } from "node:test";
import { attachCommand, projectRoot } from "../support/project.ts";
import { guardWith } from "../support/guard.ts";
import { run, tryRun } from "../support/run.ts";
import { throwAwayRoot } from "./systemd_container.ts";
import { installUnit, type Unit } from "./unit.ts";

describe("the drop-in of systemd-nspawn@.service", () => {
  const NAME = "lxcfs-drop-in";
  const SERVICE = `systemd-nspawn@${NAME}.service`;
  const DROP_IN = "/run/systemd/system/systemd-nspawn@.service.d";
  const SETTINGS = `/run/systemd/nspawn/${NAME}.nspawn`;

  let unit: Unit;
  let root: ReturnType<typeof throwAwayRoot>;
  const undo = guardWith(`
systemctl kill -s KILL ${SERVICE}; systemctl stop ${SERVICE}
rm -rf ${DROP_IN} ${SETTINGS}
umount -l /var/lib/machines/${NAME}; rmdir /var/lib/machines/${NAME}
systemctl daemon-reload
`);

  before(() => {
    unit = installUnit();
    unit.systemctl("start");
    root = throwAwayRoot();
    const machine = `/var/lib/machines/${NAME}`;
    mkdirSync(machine, { recursive: true });
    run(["mount", "--bind", root.path, machine]);
    mkdirSync("/run/systemd/nspawn", { recursive: true });
    writeFileSync(SETTINGS, "[Exec]\nPrivateUsers=no\n[Network]\nVirtualEthernet=no\n");
    mkdirSync(DROP_IN, { recursive: true });
    const text = readFileSync(join(projectRoot, "share/systemd-nspawn.conf"), "utf8");
    writeFileSync(
      join(DROP_IN, "lxcfs.conf"),
      text.replaceAll("/usr/bin/lxcfs attach", attachCommand.join(" ")),
    );
    run(["systemctl", "daemon-reload"]);
  });
  after(() => {
    undo.run();
    root?.remove();
    unit?.remove();
    rmSync(SETTINGS, { force: true });
  });

  test("the container sees its own limit", () => {
    run(["systemctl", "set-property", "--runtime", SERVICE, "MemoryMax=192M"]);
    run(["systemctl", "start", SERVICE]);
    const leader = run(["machinectl", "show", NAME, "-p", "Leader", "--value"]).trim();
    const enter = ["nsenter", "-t", leader, "-a", "--"];
    const { stdout, stderr } = tryRun([...enter, "head", "-1", "/proc/meminfo"]);
    const log = tryRun(["journalctl", "-u", SERVICE, "--no-pager", "-n", "20"]).stdout;
    assert.equal(stdout, `MemTotal:         ${192 * 1024} kB\n`, stderr + log);
    // Known by name. While systemd was setting it up, its own path may not have been there yet.
    const { status } = tryRun([...attachCommand, `nspawn:${NAME}`]);
    assert.equal(status, 0);
    const again = run([...attachCommand, `nspawn:${NAME}`]);
    assert.match(again, /^nspawn:lxcfs-drop-in: \d+ already$/m);
  });
});
