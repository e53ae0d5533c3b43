/** What a mounted filesystem serves, as bindings for a container. */
import { readdirSync } from "node:fs";
import type { Binding } from "./types.ts";

/**
 * Everything below MOUNTPOINT that has a place in a container: each file of `proc`, and each
 * directory of `sys/devices/system` as a whole. Asks the filesystem: it must be alive.
 *
 * @param container the directory below `containers/` whose view the container is to have whoever
 *   reads; files that are not there, and all if it is `undefined`, answer by who reads
 */
export function bindingsFor(mountPoint: string, container: string | undefined): Binding[] {
  const proc = filesBelow(`${mountPoint}/proc`).map((file) => `/proc/${file}`);
  const system = names(`${mountPoint}/sys/devices/system`);
  const targets = [...proc, ...system.map((name) => `/sys/devices/system/${name}`)];
  return targets.map((target) => {
    const common = mountPoint + target;
    if (container === undefined) return { source: common, target };
    return { source: `${mountPoint}/containers/${container}${target}`, otherwise: common, target };
  });
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? filesBelow(`${directory}/${entry.name}`).map((file) => `${entry.name}/${file}`)
      : [entry.name],
  );
}

function names(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
