/**
 * A mount whose server and holder are dead and that is not: a thread of theirs waits in the kernel,
 * uninterruptibly (for a kernel file that hangs, say), with its descriptors open. Readers wait with it
 * for an answer that nobody is left to give, until the connection is aborted.
 */
import { existsSync, writeFileSync } from "node:fs";
import { readMountinfo } from "../host/mountinfo.ts";
import { MNT, mount, umount } from "../sys/native.ts";
import { askStatus } from "./control.ts";
import { fromBytes, MOUNT_TYPE } from "./mountpoint.ts";
import { cachedSource } from "./paths.ts";

const FUSECTL = "/sys/fs/fuse/connections";

/** Whether the server that listened on the control socket is dead: the kernel refuses the connection. */
export async function isDeserted(controlSocket: string): Promise<boolean> {
  try {
    await askStatus(controlSocket);
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
  }
}

/** Ends both connections of the mount at `path`: whoever waits gets an error, and the mount is dead. */
export function abortConnections(path: string): void {
  const minors = readMountinfo("/proc")
    .filter(({ type }) => type === MOUNT_TYPE)
    .filter((each) => fromBytes(each.mountPoint) === path || each.source === cachedSource(path))
    .map(({ minor }) => minor);
  const isMounted = minors.some((minor) => existsSync(`${FUSECTL}/${minor}`));
  if (!isMounted) mount("fusectl", FUSECTL, "fusectl", 0, null);
  try {
    for (const minor of minors) {
      const file = `${FUSECTL}/${minor}/abort`;
      if (existsSync(file)) writeFileSync(file, "1");
    }
  } finally {
    if (!isMounted) umount(FUSECTL, MNT.DETACH);
  }
}
