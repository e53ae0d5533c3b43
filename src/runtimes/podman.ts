/**
 * podman: found by cgroup (`libpod-<id>.scope`); names are in
 * `/var/lib/containers/storage/overlay-containers/containers.json`, a list of
 * `{"id":"4a53...","names":["web"]}` (another storage driver has its own directory).
 */
import { asText, dig, namesIn, tryReadJson } from "./state_files.ts";
import type { MachineRoots, Runtime } from "./types.ts";

export const podman: Runtime = {
  find(roots, scoped) {
    const own = scoped.filter(({ runtime }) => runtime === "podman");
    const names = own.length > 0 ? readNames(roots) : new Map<string, string>();
    return own.map(({ runtime, name: id, pid }) => ({
      runtime,
      id,
      name: names.get(id) ?? id,
      pid,
    }));
  },
};

function readNames({ varLib }: MachineRoots): Map<string, string> {
  const names = new Map<string, string>();
  const storage = `${varLib}/containers/storage`;
  for (const directory of namesIn(storage)) {
    if (!directory.endsWith("-containers")) continue;
    const list = tryReadJson(`${storage}/${directory}/containers.json`);
    for (const entry of Array.isArray(list) ? (list as unknown[]) : []) {
      const id = asText(dig(entry, "id"));
      const name = asText(dig(entry, "names", "0"));
      if (id !== undefined && name !== undefined) names.set(id, name);
    }
  }
  return names;
}
