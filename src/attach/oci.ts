/**
 * The OCI runtime specification's view of a container that is being made: its state, as hooks get
 * it on stdin, and its root directory.
 *
 *     {"ociVersion":"1.0.2","id":"web","status":"created","pid":4711,"bundle":"/run/web"}
 */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { readMountinfo } from "../host/mountinfo.ts";
import { readFile } from "../sys/read.ts";

export interface OciState {
  readonly id: string;
  readonly pid: number;
  readonly bundle: string;
}

/** @throws Error where a member that is needed is missing */
export function parseOciState(text: string): OciState {
  const state = JSON.parse(text) as Partial<Record<keyof OciState, unknown>>;
  const { id, pid, bundle } = state;
  if (typeof id !== "string" || typeof bundle !== "string") {
    throw new Error("Cannot read the OCI state: id and bundle are expected");
  }
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid <= 0) {
    throw new Error(`Cannot read the OCI state of ${id}: a pid is expected, found ${String(pid)}`);
  }
  return { id, pid, bundle };
}

/** The root directory that the bundle's `config.json` names, as the host sees it. */
export function readBundleRoot(bundle: string): string {
  const config = JSON.parse(readFile(`${bundle}/config.json`)) as { root?: { path?: unknown } };
  const path = config.root?.path;
  if (typeof path !== "string") throw new Error(`Cannot find root.path in ${bundle}/config.json`);
  return realpathSync(resolve(bundle, path));
}

/**
 * Where the container's root is in the mount namespace of `pid`: at `bundleRoot` until the runtime
 * has made it the root, and at "/" from then on.
 */
export function rootInNamespace(procRoot: string, pid: number, bundleRoot: string): string {
  const mounts = readMountinfo(procRoot, pid);
  return mounts.some(({ mountPoint }) => mountPoint === bundleRoot) ? bundleRoot : "/";
}
