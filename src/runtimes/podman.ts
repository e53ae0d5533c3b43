/**
 * podman: found by cgroup (`libpod-<id>.scope`); names are in
 * `/var/lib/containers/storage/overlay-containers/containers.json`, a list of
 * `{"id":"4a53...","names":["web"]}` (another storage driver has its own directory). What a user runs
 * without root is written down in that user's home, below `.local/share/containers/storage`.
 */
import { statSync } from "node:fs";
import { asText, dig, namesIn, tryReadJson } from "./state_files.ts";
import { tryReadFile } from "../sys/read.ts";
import type { MachineRoots, Runtime } from "./types.ts";

const MAX_PASSWD_BYTES = 1 << 20;

export const podman: Runtime = {
  find(roots, scoped) {
    const own = scoped.filter(({ runtime }) => runtime === "podman");
    const names =
      own.length > 0
        ? readNames(
            roots,
            own.map(({ pid }) => pid),
          )
        : new Map<string, string>();
    return own.map(({ runtime, name: id, pid }) => ({
      runtime,
      id,
      name: names.get(id) ?? id,
      pid,
    }));
  },
};

function readNames({ varLib, proc }: MachineRoots, pids: readonly number[]): Map<string, string> {
  const names = new Map<string, string>();
  addNames(`${varLib}/containers/storage`, names);
  for (const home of homesOf(proc, pids)) {
    addNames(`${home}/.local/share/containers/storage`, names);
  }
  return names;
}

/** Homes of the users who own the user namespaces of `pids`, other than root. */
function homesOf(procRoot: string, pids: readonly number[]): Set<string> {
  const owners = new Set(pids.map((pid) => outerUid(procRoot, pid)));
  const homes = new Set<string>();
  for (const line of (tryReadFile("/etc/passwd", MAX_PASSWD_BYTES) ?? "").split("\n")) {
    const [, , uid = "", , , home = ""] = line.split(":");
    if (uid !== "0" && home.startsWith("/") && owners.has(uid)) homes.add(home);
  }
  return homes;
}

/** As whom, on the host, the root of the process's user namespace runs: `0 1000 1` in its uid_map. */
function outerUid(procRoot: string, pid: number): string | undefined {
  return /^ *0 +(\d+) /m.exec(tryReadFile(`${procRoot}/${pid}/uid_map`) ?? "")?.[1];
}

function addNames(storage: string, names: Map<string, string>): void {
  for (const directory of namesIn(storage)) {
    if (!directory.endsWith("-containers")) continue;
    const path = `${storage}/${directory}/containers.json`;
    // A user may have put there what holds its reader up.
    if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
    const list = tryReadJson(path);
    for (const entry of Array.isArray(list) ? (list as unknown[]) : []) {
      const id = asText(dig(entry, "id"));
      const name = asText(dig(entry, "names", "0"));
      // The first word on an id is root's.
      if (id !== undefined && name !== undefined && !names.has(id)) names.set(id, name);
    }
  }
}
