/** A disk of our own to write to: a loop device over a file. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container } from "../support/container.ts";
import { guardWith, type Undo } from "../support/guard.ts";
import { installed, run } from "../support/run.ts";

/** Why there is no disk of our own to write to; false: there is. */
export function whyNoDisk(): string | false {
  if (!installed("losetup")) return "needs losetup (package mount)";
  return existsSync("/dev/loop-control") || existsSync("/dev/loop0")
    ? false
    : "needs a loop device";
}

/** A loop device over a file. */
export class Disk {
  readonly device: string;
  /** `major:minor` */
  readonly number: string;
  readonly #undo: Undo;

  constructor(directory: string, mib: number) {
    const file = join(directory, "disk");
    run(["truncate", "-s", `${mib}M`, file]);
    this.device = run(["losetup", "--find", "--show", file]).trim();
    this.#undo = guardWith(`losetup -d '${this.device}'`);
    this.number = run(["lsblk", "-dno", "MAJ:MIN", this.device]).trim();
  }

  detach(): void {
    this.#undo.run();
  }
}

/** Linux 6.9 counts v1's block I/O only where some cgroup has a rule: one that never holds anything up. */
export function countV1(container: Container, disk: Disk): void {
  for (const way of ["read", "write"]) {
    const file = container.cgroups.file(`blkio.throttle.${way}_bps_device`);
    if (file !== undefined) writeFileSync(file, `${disk.number} ${10 ** 12}`);
  }
}

/** Why block I/O of cgroups can't be seen here; false: it can. */
export function whyNoIo(): string | false {
  const v2 = "/sys/fs/cgroup/cgroup.controllers";
  if (existsSync("/sys/fs/cgroup/blkio")) return false;
  const has = existsSync(v2) && readFileSync(v2, "utf8").split(/\s/).includes("io");
  return has ? false : "needs a controller of block I/O";
}
