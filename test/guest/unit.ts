/** The project's systemd unit, installed the way a package would, but for where the program is. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { guardWith } from "../support/guard.ts";
import { lxcfsCommand, projectRoot } from "../support/project.ts";
import { run } from "../support/run.ts";
import { patient } from "../support/wait.ts";

const NAME = "lxcfs.service";
const UNITS = "/run/systemd/system";

/** Where the unit mounts. */
export const MOUNTPOINT = "/var/lib/lxcfs";

export interface Unit {
  systemctl(verb: string, ...argv: string[]): string;
  /** A property of the unit, as `systemctl show` prints it. */
  show(property: string): string;
  /** Host pid of the process that systemd watches: the holder. */
  mainPid(): number;
  /** Host pid of the process that answers. */
  serverPid(): number;
  /** Stops and removes it, whatever state it is in. */
  remove(): void;
}

/** Installs the unit; it is not started. Debian's own unit of that name is hidden meanwhile. */
export function installUnit(): Unit {
  const unit = join(UNITS, NAME);
  const undo = guardWith(`
systemctl kill -s KILL ${NAME}
systemctl stop ${NAME}
umount -l ${MOUNTPOINT}
rm -f '${unit}'
systemctl daemon-reload
systemctl reset-failed ${NAME}`);
  mkdirSync(UNITS, { recursive: true });
  const text = readFileSync(join(projectRoot, "share", NAME), "utf8");
  const patientText = text.replaceAll(
    /^(Timeout\w+)=(\d+)s$/gm,
    (_, name: string, seconds: string) => `${name}=${patient(Number(seconds))}s`,
  );
  writeFileSync(unit, patientText.replaceAll("/usr/bin/lxcfs", lxcfsCommand));
  run(["systemctl", "daemon-reload"]);
  const systemctl = (verb: string, ...argv: string[]) =>
    run(["systemctl", verb, ...argv, NAME], { timeoutMs: 120_000 });
  const show = (property: string) => systemctl("show", "--value", "-p", property).trim();
  const mainPid = () => Number(show("MainPID"));
  return {
    systemctl,
    show,
    mainPid,
    serverPid: () => {
      const pid = mainPid();
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      // a holder's other children are short-lived sleeps
      const servers = children.split(" ").filter((child) => commandOf(child).includes("serve"));
      return Number(servers.at(-1) ?? Number.NaN);
    },
    remove: () => undo.run(),
  };
}

function commandOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}
