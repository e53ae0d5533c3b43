/**
 * The pidfile, as LXCFS keeps it: an fcntl write lock over the whole file says that a daemon runs,
 * the content says which. The lock belongs to the process and survives execve, so the front takes it
 * and the holder, which is the same process, owns it.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { constants } from "node:fs";
import { lockWholeFile } from "../sys/native.ts";

/** The pidfile is locked: another daemon runs. */
export class PidfileHeldError extends Error {
  constructor(path: string, holder: string) {
    super(
      `Cannot start: ${path} is locked by the lxcfs that runs as process ${holder || "unknown"}; ` +
        `give this one its own with --pidfile or --runtime-dir`,
    );
    this.name = "PidfileHeldError";
  }
}

/**
 * Creates and locks the pidfile and writes `pid` into it.
 * @returns its descriptor; the lock goes when any descriptor of the file is closed in this process
 * @throws PidfileHeldError if another process holds the lock, or whatever the system says
 */
export function takePidfile(path: string, pid: number): number {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
    if (!lockWholeFile(fd)) {
      const holder = readFileSync(fd, "latin1").trim();
      closeSync(fd);
      throw new PidfileHeldError(path, holder);
    }
    // Its last owner may have removed it between our open and our lock: then we hold a nameless file.
    if (!isSameFile(fd, path)) {
      closeSync(fd);
      continue;
    }
    ftruncateSync(fd, 0);
    writeSync(fd, `${pid}\n`, 0);
    return fd;
  }
}

function isSameFile(fd: number, path: string): boolean {
  const held = fstatSync(fd);
  const named = statSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}
