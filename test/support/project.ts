/** Where the project's own files are, seen from compiled tests and tools. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { patient } from "./wait.ts";

/** The directory of the project's package.json. */
export const projectRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The command under test. */
export const lxcfsCommand: string = join(projectRoot, "bin/lxcfs");

/** `lxcfs attach`, with as much time for a container as its default of five seconds means here. */
export const attachCommand: readonly string[] = [
  ...[lxcfsCommand, "attach"],
  ...["--timeout", String(patient(5))],
];

function findRoot(from: string): string {
  if (existsSync(join(from, "package.json"))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error("Cannot find package.json above the compiled tests");
  return findRoot(parent);
}
