/** A file's text: as the running server gives it to one container, and as one process reads it. */
import { existsSync, readFileSync } from "node:fs";
import { deviceOf, locate, LXCFS_TYPE } from "../attach/mount_table.ts";
import type { Container } from "../caller/container.ts";
import type { Mount } from "../host/mountinfo.ts";
import { ExplainError } from "./error.ts";
import { attachmentOf, mountsOf } from "./subject.ts";

/**
 * @param mountPoint where a server answers
 * @param container `undefined`: a process in no container, which is shown the host's own file
 * @param path below the mount
 * @throws ExplainError
 */
export function servedText(
  mountPoint: string,
  container: Container | undefined,
  path: string,
): string {
  if (container === undefined) return textOf(`/${path}`);
  if (!existsSync(`${mountPoint}/containers`)) {
    throw new ExplainError(
      "no-server",
      `what serves ${mountPoint} has no view by container (the original LXCFS?): start lxcfs-ts`,
    );
  }
  return textOf(`${mountPoint}/containers/${container.name}/${path}`);
}

/**
 * What process `pid` reads in the file. A file that answers by who reads is asked for by the
 * container's name; all others say the same to everyone, and are read where the process has them.
 * @throws ExplainError
 */
export function textReadBy(
  pid: number,
  mountPoint: string,
  container: Container | undefined,
  path: string,
): string {
  const mounts = mountsOf("/proc", pid);
  if (attachmentOf(mounts, `/${path}`) === "by caller") {
    return servedText(mountPoint, container, path);
  }
  const type = typeAt(mounts, `/${path}`);
  if (type === undefined || !KERNELS_TYPES.includes(type)) {
    throw new ExplainError("failed", `process ${pid} has no /${path}: nothing is mounted there`);
  }
  return textOf(`/proc/${pid}/root/${path}`);
}

/** In these the container cannot have put a link that leads out of it. */
const KERNELS_TYPES: readonly string[] = ["proc", "sysfs", LXCFS_TYPE];

function typeAt(mounts: readonly Mount[], path: string): string | undefined {
  const device = locate(mounts, path)?.device;
  return mounts.find((mount) => deviceOf(mount) === device)?.type;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
    const why = WHY[code] ?? code;
    throw new ExplainError(code === "EISDIR" ? "usage" : "failed", `Cannot read ${path}: ${why}`);
  }
}

const WHY: Readonly<Record<string, string>> = {
  EISDIR: "that is a directory",
  ENOENT: "this kernel, or this container, has no such file",
  ENOTCONN: 'its server is gone: start lxcfs, then "lxcfs heal"',
};
