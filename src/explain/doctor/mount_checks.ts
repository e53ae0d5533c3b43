/** What is mounted and served, and which containers have it. */
import { findLxcfsMounts, mountNamespaceOf } from "../../attach/find_mounts.ts";
import { deviceOf } from "../../attach/mount_table.ts";
import { readMountinfo } from "../../host/mountinfo.ts";
import type { SurveyRow } from "../survey.ts";
import type { Finding } from "./finding.ts";

/** One mountpoint of type fuse.lxcfs in the host's namespace. */
export interface MountState {
  readonly mountPoint: string;
  readonly state: "answers" | "dead" | "hung";
  /** Version of the lxcfs-ts that answers at its control socket. */
  readonly version: string | undefined;
  /** All callers are shown the host's values (SIGUSR2). */
  readonly hostView: boolean;
  readonly upgradeError: string;
  /** Whether `containers/` is there, which only this program has. */
  readonly ours: boolean;
}

export function mountChecks(
  mounts: readonly MountState[],
  rows: readonly SurveyRow[],
  procRoot: string,
): Finding[] {
  const living = mounts.filter(({ state, ours }) => state === "answers" && ours);
  return [
    ...servers(mounts, living),
    ...staleMounts(procRoot, mounts),
    ...containersWithout(rows, living),
  ];
}

function servers(mounts: readonly MountState[], living: readonly MountState[]): Finding[] {
  const findings: Finding[] = [];
  if (living.length === 0) {
    findings.push({
      check: "server",
      severity: "error",
      message: "no lxcfs-ts serves anywhere",
      remedy: "systemctl start lxcfs, or: lxcfs /var/lib/lxcfs",
    });
  }
  for (const { mountPoint, version, hostView, upgradeError } of living) {
    const what = version === undefined ? "answers; its control socket was not found" : version;
    findings.push({ check: "server", severity: "ok", message: `${mountPoint}: ${what}` });
    if (hostView) {
      findings.push({
        check: "host-view",
        severity: "warning",
        message: `${mountPoint} shows every container the host's values (SIGUSR2)`,
        remedy: "send SIGUSR2 to the holder once more",
      });
    }
    if (upgradeError !== undefined && upgradeError !== "") {
      findings.push({
        check: "upgrade",
        severity: "warning",
        message: `the last upgrade of ${mountPoint} failed: ${upgradeError}`,
        remedy: "mend the installation, then: lxcfs upgrade",
      });
    }
  }
  for (const { mountPoint, state, ours } of mounts) {
    if (state === "dead") {
      findings.push({
        check: "stale-mount",
        severity: "error",
        message: `${mountPoint} is dead: its server is gone`,
        remedy: `lxcfs ${mountPoint} (replaces it), or: umount -l ${mountPoint}`,
      });
    } else if (state === "hung") {
      findings.push({
        check: "hung-mount",
        severity: "error",
        message: `${mountPoint} does not answer`,
        remedy: `end its server, then: lxcfs ${mountPoint}`,
      });
    } else if (!ours) {
      findings.push({
        check: "another-lxcfs",
        severity: "warning",
        message: `another lxcfs serves ${mountPoint}`,
        remedy: `stop it, then: lxcfs ${mountPoint}; and "lxcfs heal" mends containers that use it`,
      });
    }
  }
  return findings;
}

/** lxcfs mounts in containers whose filesystem nobody serves in the host's namespace any more. */
function staleMounts(procRoot: string, mounts: readonly MountState[]): Finding[] {
  const here = readMountinfo(procRoot).filter(({ type }) => type === "fuse.lxcfs");
  const dead = new Set(mounts.filter(({ state }) => state === "dead").map((m) => m.mountPoint));
  const alive = new Set(here.filter((m) => !dead.has(m.mountPoint)).map(deviceOf));
  const own = mountNamespaceOf(procRoot, "self");
  const found = findLxcfsMounts(procRoot, new Set(own === undefined ? [] : [own]));
  const stale = found.flatMap(({ pid, mounts }) => {
    const gone = mounts.filter((mount) => !alive.has(deviceOf(mount)));
    return gone.length > 0 ? [{ pid, count: gone.length }] : [];
  });
  if (stale.length === 0) {
    return [{ check: "containers-stale", severity: "ok", message: "no container has dead files" }];
  }
  const some = stale.slice(0, 5).map(({ pid, count }) => `process ${pid} (${count} files)`);
  const more = stale.length > some.length ? ` and ${stale.length - some.length} more` : "";
  return [
    {
      check: "containers-stale",
      severity: "warning",
      message: `files of a filesystem that is not mounted here: ${some.join(", ")}${more}`,
      remedy: "lxcfs heal",
    },
  ];
}

function containersWithout(rows: readonly SurveyRow[], living: readonly MountState[]): Finding[] {
  const without = rows.filter(({ attached }) => attached.files === 0);
  if (without.length === 0) {
    const message = rows.length === 0 ? "no container runs" : `all ${rows.length} have their files`;
    return [{ check: "containers", severity: "ok", message }];
  }
  const names = without.slice(0, 5).map(({ runtime, name }) => `${runtime}:${name}`);
  const more = without.length > names.length ? ` and ${without.length - names.length} more` : "";
  return [
    {
      check: "containers",
      severity: "warning",
      message: `${without.length} of ${rows.length} containers see the host's files: ${names.join(", ")}${more}`,
      remedy: `${living.length === 0 ? "start a server, then: " : ""}lxcfs attach --all; docs/runtimes.md has it done by the runtime`,
    },
  ];
}
