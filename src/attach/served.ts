/** What a mounted filesystem serves, as bindings for a container. */
import { readdirSync } from "node:fs";
import { readMountinfo } from "../host/mountinfo.ts";
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
  const cached = container === undefined ? undefined : cachedMountPointOf(mountPoint);
  return targets.map((target) => {
    if (container === undefined) return { source: mountPoint + target, target };
    return { ...sourcesOf(mountPoint, cached, `/containers/${container}${target}`), target };
  });
}

/** Paths below `containers/<id>`, which both connections of a mount have. */
const OF_CONTAINER = /^\/containers\/[^/]+(?=\/)/;

/**
 * Where a file is to be taken from, best first: from the connection whose pages the kernel caches,
 * from the container's own directory, from the files that answer by who reads.
 * @param root the file's path within its filesystem
 */
export function sourcesOf(
  mountPoint: string,
  cached: string | undefined,
  root: string,
): Pick<Binding, "source" | "otherwise"> {
  if (!OF_CONTAINER.test(root)) return { source: mountPoint + root };
  const others = [mountPoint + root, mountPoint + root.replace(OF_CONTAINER, "")];
  return { source: (cached ?? mountPoint) + root, otherwise: others };
}

/** Where the second connection of the filesystem on `mountPoint` is mounted, if it has one. */
export function cachedMountPointOf(mountPoint: string, procRoot = "/proc"): string | undefined {
  return readMountinfo(procRoot).find(({ source }) => source === `cached:${mountPoint}`)
    ?.mountPoint;
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
