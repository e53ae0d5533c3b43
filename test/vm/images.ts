/** The images that the virtual machine boots from: `build.sh` makes them, once per machine. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { guardWith } from "../support/guard.ts";
import { repository } from "./repository.ts";

/** Where the images are, or why this machine cannot have them. */
export type Images = { readonly folder: string } | { readonly unavailable: string };

/** The exit status by which build.sh says "not on this machine". */
const CANNOT_BUILD = 77;

/** A first build takes two to three minutes, most of it on the way from a mirror. */
const BUILD_TIMEOUT_MS = 900_000;

/**
 * Builds the images if they are missing, which takes minutes the first time, and says where they are.
 * @throws Error when the build fails on a machine that should be able to do it
 */
export async function buildImages(): Promise<Images> {
  // a process group of its own, that all of it can be ended
  const build = spawn("nice", ["-n", "10", join(repository, "test/vm/build.sh")], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const undo = guardWith(`kill -TERM -- -${build.pid}`);
  let out = "";
  build.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  const tail: string[] = [];
  createInterface({ input: build.stderr }).on("line", (line) => {
    if (tail.push(line) > 20) tail.shift();
    if (line.startsWith("vm build:")) process.stderr.write(`${line}\n`);
  });
  const timer = setTimeout(() => undo.run(), BUILD_TIMEOUT_MS);
  const [status] = (await once(build, "close")) as [number | null];
  clearTimeout(timer);
  undo.forget();
  if (status === CANNOT_BUILD) return { unavailable: tail.at(-1) ?? "no reason given" };
  const folder = out.trim();
  if (status !== 0 || !existsSync(join(folder, ".done"))) {
    throw new Error(
      `Cannot build the virtual machine: build.sh ended with ${status}\n${tail.join("\n")}`,
    );
  }
  return { folder };
}
