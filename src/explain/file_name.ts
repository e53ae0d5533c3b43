/** From what people type for a file (`meminfo`, `/proc/meminfo`, `cpu/online`) to its path. */
import { DIRECTORIES, VIEWS } from "../views/index.ts";
import { ExplainError } from "./error.ts";

/** Where a name without its directory is looked for, in this order. */
const PREFIXES = ["", "proc/", "proc/pressure/", "sys/devices/system/", "sys/devices/system/cpu/"];

/** Paths of the files of fixed names, below the mount. */
export const FILE_PATHS: readonly string[] = VIEWS.map(({ path }) => path);

/**
 * The path below the mount of the file called `name`. Files of single CPUs and nodes have no list:
 * below those directories any name is taken, and the server knows.
 * @throws ExplainError for a name that is no served file
 */
export function filePath(name: string): string {
  const bare = name.replace(/^\/+/, "");
  for (const prefix of PREFIXES) {
    if (FILE_PATHS.includes(prefix + bare)) return prefix + bare;
  }
  const below = DIRECTORIES.some(
    ({ path }) => /^sys\/.*\/(?:cpu|node)$/.test(path) && inside(path),
  );
  if (below && !bare.includes("..")) return bare;
  const known = FILE_PATHS.filter((path) => path.startsWith("proc/")).map((path) => path.slice(5));
  throw new ExplainError(
    "usage",
    `"${name}" is no file that lxcfs serves; there are ${known.join(", ")} and cpu/online, node/online`,
  );

  function inside(directory: string): boolean {
    return bare.startsWith(`${directory}/`);
  }
}
