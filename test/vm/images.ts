/** The images that the virtual machine boots from: `build.sh` makes them, once per machine. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repository } from "./repository.ts";

/** Where the images are, or why this machine cannot have them. */
export type Images = { readonly folder: string } | { readonly unavailable: string };

/** The exit status by which build.sh says "not on this machine". */
const CANNOT_BUILD = 77;

/**
 * Builds the images if they are missing, which takes minutes the first time, and says where they are.
 * @throws Error when the build fails on a machine that should be able to do it
 */
export function buildImages(): Images {
  const script = join(repository, "test/vm/build.sh");
  const built = spawnSync("nice", ["-n", "10", script], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (built.status === CANNOT_BUILD) {
    return { unavailable: built.stderr.trim().split("\n").at(-1) ?? "no reason given" };
  }
  const folder = built.stdout.trim();
  if (built.status !== 0 || !existsSync(join(folder, ".done"))) {
    const tail = built.stderr.trim().split("\n").slice(-20).join("\n");
    throw new Error(
      `Cannot build the virtual machine: build.sh ended with ${built.status}\n${tail}`,
    );
  }
  return { folder };
}
