/** Containers whose init is systemd: waiting for it, and the root filesystem that build.sh made. */
import { mkdtempSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardWith, type Undo } from "../support/guard.ts";
import { run, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { START_MS } from "./guest.ts";
import type { Exec } from "./view.ts";

/** A Debian with systemd, owned by root. */
export const CONTAINER_ROOT = "/srv/container";

/** A container that a test started. */
export interface RunningContainer {
  readonly name: string;
  /** Host pid of its init. */
  readonly initPid: number;
  readonly exec: Exec;
  /** Ends it at once. Idempotent. */
  stop(): void;
}

/** A root filesystem that may be written to and vanishes afterwards. */
export function throwAwayRoot(): { path: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "lxcfs-root-"));
  const undo: Undo = guardWith(
    `umount -l '${folder}/root'; umount -l '${folder}'; rmdir '${folder}'`,
  );
  run(["mount", "-t", "tmpfs", "-o", "mode=755", "root", folder]);
  for (const name of ["upper", "work", "root"]) mkdirSync(join(folder, name));
  const layers = `lowerdir=${CONTAINER_ROOT},upperdir=${folder}/upper,workdir=${folder}/work`;
  run(["mount", "-t", "overlay", "-o", layers, "overlay", join(folder, "root")]);
  return { path: join(folder, "root"), remove: () => undo.run() };
}

/** Waits until systemd says that it has booted: "running", or "degraded" if a unit failed. */
export async function booted(
  name: string,
  command: readonly string[],
  bootMs: number = START_MS,
): Promise<string> {
  return await waitFor(
    `systemd of ${name} has booted`,
    () => {
      const state = tryRun([...command, "systemctl", "is-system-running"]).stdout.trim();
      return state === "running" || state === "degraded" ? state : undefined;
    },
    bootMs,
    300,
  );
}
