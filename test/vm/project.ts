/**
 * The project as a guest gets it: what a build makes and what npm would install for production,
 * copied aside, so that a build that goes on meanwhile does not change a running suite.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import type { Share } from "./qemu.ts";
import { repository } from "./repository.ts";

/** Where the guest finds the project. */
export const GUEST_PROJECT = "/opt/lxcfs-ts";

/** What is shipped, and what tests read beside their own code. */
const PARTS = [
  "package.json",
  "bin",
  "dist",
  "share",
  "fixtures",
  "docs",
  "README.md",
  "test",
  "bench",
];

/** Copies the project aside. Call `remove` when the guest has ended. */
export function stageProject(): { share: Share; remove: () => void } {
  if (!existsSync(join(repository, "dist"))) {
    throw new Error(
      `Cannot share the project: there is no dist in ${repository}: run npm run build`,
    );
  }
  const stage = mkdtempSync(join(tmpdir(), "lxcfs-vm-project-"));
  const remove = () => rmSync(stage, { recursive: true, force: true });
  try {
    for (const part of [...PARTS, ...productionPackages()]) {
      const from = join(repository, part);
      if (!existsSync(from)) continue;
      mkdirSync(dirname(join(stage, part)), { recursive: true });
      cpSync(from, join(stage, part), { recursive: true, verbatimSymlinks: true });
    }
  } catch (error) {
    remove();
    throw error;
  }
  const share: Share = {
    hostPath: stage,
    guestPath: GUEST_PROJECT,
    readOnly: true,
    cache: "loose",
  };
  return { share, remove };
}

/** The folders of node_modules that the project needs to run, by npm's own account. */
function productionPackages(): string[] {
  const listed = spawnSync("npm", ["ls", "--omit=dev", "--all", "--parseable"], {
    cwd: repository,
    encoding: "utf8",
  });
  // npm ends with 1 for a tree it would have made otherwise; the list is complete all the same
  const folders = listed.stdout
    .split("\n")
    .map((line) => relative(repository, line.trim()))
    .filter((path) => path.startsWith("node_modules/"));
  if (folders.length === 0) throw new Error(`npm lists no packages: ${listed.stderr}`);
  return folders;
}
