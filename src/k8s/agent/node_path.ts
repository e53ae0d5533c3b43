/**
 * A path of the node as this process reaches it, through the root of process 1. Symbolic links have
 * to be followed by hand: an absolute one, as Debian's `/var/run -> /run`, would lead into this
 * process's own root.
 */
import { readlinkSync } from "node:fs";

/** As many as the kernel follows. */
const MAX_LINKS = 40;

/** @returns the path with all links resolved that there are; what does not exist is kept as it is */
export function nodePath(path: string, root = "/proc/1/root"): string {
  const left = path.split("/");
  const done: string[] = [];
  let links = 0;
  while (left.length > 0) {
    const name = left.shift() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done.pop();
      continue;
    }
    const target = linkTarget([root, ...done, name].join("/"));
    if (target === undefined || ++links > MAX_LINKS) {
      done.push(name);
      continue;
    }
    if (target.startsWith("/")) done.length = 0;
    left.unshift(...target.split("/"));
  }
  return [root, ...done].join("/");
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // No link, or nothing at all.
    return undefined;
  }
}
