/** From what people type for a file (`meminfo`, `/proc/meminfo`, `cpu/online`) to its path. */
import { VIEWS } from "../views/index.ts";
import { ExplainError } from "./error.ts";

/** Where a name without its directory is looked for, in this order. */
const PREFIXES = ["", "proc/", "proc/pressure/", "sys/devices/system/", "sys/devices/system/cpu/"];

/** Paths of the files of fixed names, below the mount. */
export const FILE_PATHS: readonly string[] = VIEWS.map(({ path }) => path);

/** Below these any name is taken, and the server knows: the files of single CPUs and nodes have no list. */
const OPEN_DIRECTORIES = /^sys\/devices\/system\/(?:cpu|node)\/./;

/** The path below the mount of the file called `name`. @throws ExplainError for one that is not served */
export function filePath(name: string): string {
  const bare = name.replace(/^\/+/, "");
  const paths = PREFIXES.map((prefix) => prefix + bare);
  const listed = paths.find((path) => FILE_PATHS.includes(path));
  if (listed !== undefined) return listed;
  const below = paths.find((path) => OPEN_DIRECTORIES.test(path));
  if (below !== undefined && !bare.split("/").includes("..") && bare.includes("/")) return below;
  const known = FILE_PATHS.filter((path) => path.startsWith("proc/")).map((path) => path.slice(5));
  throw new ExplainError(
    "usage",
    `"${name}" is no file that lxcfs serves; there are ${known.join(", ")} and cpu/online, node/online`,
  );
}
