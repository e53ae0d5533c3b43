/**
 * Copies the program out of the image into a directory of the node, once for each version, and
 * takes away what no process uses any more. A version is known by what it consists of.
 *
 *   INSTALL-DIR/0123456789abcdef/usr/...
 */
import { createHash } from "node:crypto";
import {
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tryReadFile } from "../../sys/read.ts";

/** Only what programs need at run time: documentation, headers and the like stay behind. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  "share/doc",
  "share/man",
  "share/info",
  "include",
  "src",
]);

/** @returns the directory below `installDir` that holds a copy of `usr`, made if it was not there */
export function install(usr: string, installDir: string): string {
  const target = `${installDir}/${identify(usr)}`;
  if (statSync(target, { throwIfNoEntry: false })) return target;
  // Under another name until it is whole: what is found under its own is taken for complete.
  const partial = `${target}.partial-${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  cpSync(usr, `${partial}/usr`, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !LEFT_OUT.has(path.slice(usr.length + 1)),
  });
  try {
    renameSync(partial, target);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    // Someone else was quicker: what is there is the same.
    if (!statSync(target, { throwIfNoEntry: false })) throw error;
  }
  return target;
}

/** A name for what is below `usr`: paths, sizes, modes, targets of links, whole seconds of change. */
function identify(usr: string): string {
  const hash = createHash("sha256");
  const walk = (path: string) => {
    for (const name of readdirSync(`${usr}${path}`).toSorted()) {
      const below = `${path}/${name}`;
      if (LEFT_OUT.has(below.slice(1))) continue;
      const stat = lstatSync(usr + below);
      hash.update(`${below}\0${stat.mode}\0`);
      if (stat.isDirectory()) walk(below);
      else if (stat.isSymbolicLink()) hash.update(`${readlinkSync(usr + below)}\0`);
      else hash.update(`${stat.size}\0${Math.floor(stat.mtimeMs / 1000)}\0`);
    }
  };
  walk("");
  return hash.digest("hex").slice(0, 16);
}

/** Removes versions that neither are `current` nor are mounted as any process's `/usr`. */
export function removeUnused(installDir: string, current: string, procRoot = "/proc"): string[] {
  const names = readdirSync(installDir);
  const used = new Set([current.slice(current.lastIndexOf("/") + 1)]);
  for (const pid of readdirSync(procRoot)) {
    if (!/^\d+$/.test(pid)) continue;
    for (const name of versionsMounted(procRoot, Number(pid), names)) used.add(name);
  }
  const unused = names.filter((name) => !used.has(name));
  for (const name of unused) rmSync(`${installDir}/${name}`, { recursive: true, force: true });
  return unused;
}

/**
 * The versions mounted on `/usr` in the mount namespace of `pid`, the one in use last. In
 * mountinfo the root of a bind mount ends in `/<version>/usr`.
 */
export function versionsMounted(
  procRoot: string,
  pid: number,
  versions: readonly string[],
): string[] {
  const mountinfo = tryReadFile(`${procRoot}/${pid}/mountinfo`) ?? "";
  return mountinfo.split("\n").flatMap((line) => {
    const [, , , root = "", at] = line.split(" ");
    const version = /\/([^/]+)\/usr$/.exec(root)?.[1];
    return at === "/usr" && version !== undefined && versions.includes(version) ? [version] : [];
  });
}
