/** The short way: mount a filesystem and serve it in this thread. */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { DeviceChannel } from "./channel.ts";
import { mountFuse, openFuseDevice, unmountFuse } from "./mount.ts";
import type { MountOptions } from "./mount.ts";
import { Notifier } from "./notify.ts";
import type { Operations } from "./operations.ts";
import { Session } from "./session.ts";
import type { SessionOptions } from "./session.ts";

export interface FilesystemOptions extends SessionOptions, Omit<MountOptions, "fd" | "mountpoint"> {
  /**
   * Unmount when this process ends, however it ends: a small `sh` waits beside it. Default true;
   * without it a killed server leaves a dead mount ("Transport endpoint is not connected").
   */
  unmountAtExit?: boolean;
}

/** A filesystem in the tree. */
export interface MountedFilesystem {
  readonly fd: number;
  readonly session: Session;
  readonly notifier: Notifier;
  /** Answers requests until the filesystem is unmounted (by `umount`, or from another thread). */
  serve(): void;
  /** Takes it from the tree; `serve` then returns. */
  unmount(): void;
}

/**
 * Mounts `operations` on the directory `mountpoint`. Needs root, or CAP_SYS_ADMIN.
 * @throws MountError saying what was found and what to do
 */
export function mountFilesystem(
  mountpoint: string,
  operations: Operations,
  options: FilesystemOptions = {},
): MountedFilesystem {
  const fd = openFuseDevice();
  // Before the mount: there must be no moment at which our death would leave it behind.
  const dismissGuard = (options.unmountAtExit ?? true) ? unmountAfterUs(mountpoint) : () => {};
  try {
    mountFuse({ ...options, fd, mountpoint });
  } catch (error) {
    dismissGuard();
    closeSync(fd);
    throw error;
  }
  const channel = new DeviceChannel(fd);
  const session = new Session(channel, operations, options);
  return {
    fd,
    session,
    notifier: new Notifier(channel),
    serve() {
      session.serve();
      dismissGuard();
    },
    unmount() {
      dismissGuard();
      unmountFuse(mountpoint);
    },
  };
}

/**
 * A shell whose standard input is a pipe from this process: when this process has ended, for
 * whatever reason, `read` returns. What is mounted there is detached if it is dead: another process
 * may have been given the descriptor, or we may have died before the mount. (`stat -f` is statfs(2):
 * see `isDeadMount`.)
 * @returns sends the shell away
 */
function unmountAfterUs(mountpoint: string): () => void {
  const script = 'read -r _; stat -f "$0" >/dev/null 2>&1 || exec umount -l "$0" 2>/dev/null';
  const guard = spawn("/bin/sh", ["-c", script, mountpoint], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.on("error", () => {}); // no shell: then nobody waits
  guard.unref();
  const pipe: unknown = guard.stdin;
  if (pipe instanceof Socket) pipe.unref();
  return () => void guard.kill("SIGKILL");
}
