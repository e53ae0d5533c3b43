/**
 * `lxcfs raise-events MOUNTPOINT`: raises IN_MODIFY on nodes of the mount, as the kernel itself does
 * on its files of events (kernfs_notify). Started by the server, which names the nodes on standard
 * input, `OWNER LOCAL` a line, and an empty line behind the last; it gets those back that the kernel
 * knows no more, and so nobody watches, and an empty line when all is done.
 *
 * Of all calls that modify a file, setting its modification time alone raises nothing else: no event
 * of opening, closing or attributes. The file is opened by its handle, for which nothing is looked up.
 */
import { statSync } from "node:fs";
import { MOUNT_TYPE, mountTypeAt } from "../daemon/mountpoint.ts";
import { capabilityBits } from "../sys/capabilities.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import { closeFd, openFuseNode, setModifiedNow, setThreadCapabilities } from "../sys/native.ts";
import { nodeHigh, nodeLow } from "../vfs/node_id.ts";
import { UsageError } from "./options.ts";

/** An answer that comes too late is an error; another one may come in time. */
const ATTEMPTS = 3;

export async function run(args: readonly string[]): Promise<number> {
  const [mountpoint] = args;
  if (mountpoint === undefined) throw new UsageError("raise-events takes a mountpoint");
  if (mountTypeAt(mountpoint) !== MOUNT_TYPE) throw new Error(`Cannot use ${mountpoint}: no mount`);
  const kept = capabilityBits(["DAC_READ_SEARCH", "FOWNER"]);
  setThreadCapabilities({ effective: kept, permitted: kept, inheritable: 0n });
  const { dev } = statSync(mountpoint);
  let text = "";
  for await (const chunk of process.stdin.setEncoding("latin1")) {
    text += String(chunk);
    const end = text.lastIndexOf("\n\n");
    if (end < 0) continue;
    const lines = text.slice(0, end).split("\n").filter(Boolean);
    text = text.slice(end + 2);
    const gone = inside(mountpoint, dev, () => lines.filter((line) => !raise(line)));
    process.stdout.write([...gone, ""].map((line) => `${line}\n`).join(""));
  }
  return 0;
}

/** Does `work` in the mountpoint. Not a moment longer than needed: it can't be unmounted meanwhile. */
function inside<T>(mountpoint: string, dev: number, work: () => T): T {
  process.chdir(mountpoint);
  try {
    if (statSync(".").dev !== dev) throw new Error(`Cannot use ${mountpoint}: another mount`);
    return work();
  } finally {
    process.chdir("/");
  }
}

/** @returns false if the kernel does not know the node: then nobody watches it */
function raise(line: string): boolean {
  const [owner = 0, local = 0] = line.split(" ").map(Number);
  let fd: number;
  try {
    fd = openFuseNode(nodeHigh(owner), nodeLow(owner, local));
  } catch (error) {
    return errnoOf(error) !== errno.ESTALE;
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS && !isModified(fd); attempt++);
  } finally {
    closeFd(fd);
  }
  return true;
}

function isModified(fd: number): boolean {
  try {
    setModifiedNow(fd);
    return true;
  } catch (error) {
    // Its cgroup is gone: there is nothing to tell.
    return errnoOf(error) !== errno.EIO;
  }
}
