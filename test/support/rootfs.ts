/**
 * A root filesystem for runtimes made of this machine's own programs: empty directories onto which
 * the machine's are bound, read-only.
 */
import { lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What is bound from the machine. */
export const BOUND_DIRECTORIES: readonly string[] = ["usr", "etc"];

const EMPTY_DIRECTORIES = ["proc", "sys", "dev", "run", "tmp", "root", "var", ...BOUND_DIRECTORIES];
const LINKED = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/**
 * Fills the empty directory `rootfs`.
 * @returns the machine's directories to bind, which are `BOUND_DIRECTORIES` and, on a machine whose
 * /bin is no link into /usr, /bin and its like
 */
export function makeRootfs(rootfs: string): string[] {
  const bound = [...BOUND_DIRECTORIES];
  for (const name of EMPTY_DIRECTORIES) mkdirSync(join(rootfs, name), { recursive: true });
  for (const name of LINKED) {
    const host = lstatSync(join("/", name), { throwIfNoEntry: false });
    if (host === undefined) continue;
    if (host.isSymbolicLink()) {
      symlinkSync(readlinkSync(join("/", name)), join(rootfs, name));
      continue;
    }
    mkdirSync(join(rootfs, name));
    bound.push(name);
  }
  writeFileSync(join(rootfs, ".lxcfs-test"), "");
  return bound;
}
