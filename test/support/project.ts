/** Where the project's own files are, seen from compiled tests and tools. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory of the project's package.json. */
export const projectRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The command under test. */
export const lxcfsCommand: string = join(projectRoot, "bin/lxcfs");

function findRoot(from: string): string {
  if (existsSync(join(from, "package.json"))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error("Cannot find package.json above the compiled tests");
  return findRoot(parent);
}
