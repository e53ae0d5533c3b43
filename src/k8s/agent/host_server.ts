/**
 * The server on the node: started so that it outlives the agent's pod, brought to the agent's own
 * version when it is another, started again when it has ended altogether.
 *
 * It outlives the pod because nothing of it is the pod's: its cgroup is one of the node's, its mount
 * namespace and root are its own (private_root.ts), its network namespace is the node's, its log is a
 * file of the node's (server_log.ts).
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../sys/log.ts";
import { CLONE, MNT, mount, MS, setns, umount, unshare } from "../../sys/native.ts";
import { joinCgroup } from "./node_cgroup.ts";
import { versionsMounted } from "./install.ts";
import { becomeProgram } from "./private_root.ts";
import { openServerLog } from "./server_log.ts";

/** As much of a server's status as is needed here. */
export interface ServerStatus {
  holderPid: number;
  serverPid: number;
  version: string;
}

export interface HostServerOptions {
  /** Where the node sees the filesystem. */
  mountPoint: string;
  runtimeDir: string;
  /** The installed version this agent is of: a directory below the node's installation directory. */
  program: string;
  serverArgs: readonly string[];
  /** Name of the server's own cgroup at the node's root. */
  cgroup: string;
  /** How to start this very program: the interpreter and its script. */
  command: readonly [string, string];
  askStatus(): Promise<ServerStatus>;
  /** Has the server replaced by the version that is installed; resolves with an exit code. */
  upgrade(): Promise<number>;
  log: Logger;
}

/** Where the server tells its own counters: the agent passes them on. */
export function metricsSocket(runtimeDir: string): string {
  return `${runtimeDir}/metrics.sock`;
}

/** On a node that is just starting everything, Node.js alone may take many seconds. */
const START_MS = 60_000;
const LOOK_MS = 50;

/** What `ensure` found or did. */
export type Ensured = "kept" | "started" | "upgraded" | "upgrade-failed";

/** Sees to it that a server of this version serves. @throws if none can be started */
export async function ensureServer(options: HostServerOptions): Promise<Ensured> {
  const status = await options.askStatus().catch(() => undefined);
  if (!status) {
    await start(options);
    return "started";
  }
  const version = basename(options.program);
  const versions = readdirSync(options.program.slice(0, -version.length));
  if (versionsMounted("/proc", status.holderPid, versions).at(-1) === version) return "kept";
  options.log.info("upgrading the server", { from: status.version, to: version });
  const [node, script] = options.command;
  const lay = spawn(
    node,
    [script, "node-agent", "--lay-usr", String(status.holderPid), "--program", options.program],
    { stdio: "inherit" },
  );
  const [code] = (await once(lay, "exit")) as [number | null];
  if (code !== 0) {
    options.log.error("the new version cannot be laid over the old one", { code: code ?? -1 });
    return "upgrade-failed";
  }
  return (await options.upgrade()) === 0 ? "upgraded" : "upgrade-failed";
}

async function start(options: HostServerOptions): Promise<void> {
  mkdirSync(options.mountPoint, { recursive: true });
  mkdirSync(options.runtimeDir, { recursive: true });
  const [node, script] = options.command;
  const { mountPoint, runtimeDir, serverArgs, cgroup } = options;
  const metrics = `--metrics=${metricsSocket(runtimeDir)}`;
  const args = ["--runtime-dir", runtimeDir, metrics, ...serverArgs, mountPoint];
  const log = openServerLog(runtimeDir);
  const child = spawn(
    node,
    [script, "node-agent", "--exec-server", "--cgroup", cgroup, "--", ...args],
    { stdio: ["ignore", log, log], detached: true },
  );
  closeSync(log);
  child.unref();
  let exited: number | null | undefined;
  child.on("exit", (code) => (exited = code));
  const untilMs = performance.now() + START_MS;
  while (performance.now() < untilMs) {
    const status = await options.askStatus().catch(() => undefined);
    if (status) {
      options.log.info("server started", { holder: status.holderPid, server: status.serverPid });
      return;
    }
    if (exited !== undefined) throw new Error(`Cannot start the server: it ended with ${exited}`);
    await sleep(LOOK_MS);
  }
  throw new Error(`Cannot start the server: no answer in ${START_MS} ms`);
}

/** In a process of its own: leaves all that is the pod's and becomes the server. Does not return. */
export function execServer(
  command: readonly [string, string],
  args: readonly string[],
  cgroup: string,
  podOnly: readonly string[],
): never {
  joinCgroup(cgroup);
  unshare(CLONE.NEWNS);
  for (const path of podOnly) if (existsSync(path)) attempt(() => umount(path, MNT.DETACH));
  for (const [name, type] of [
    ["net", CLONE.NEWNET],
    ["ipc", CLONE.NEWIPC],
    ["uts", CLONE.NEWUTS],
  ] as const) {
    // Worth having, not worth failing for: process 1 may hide its namespaces even from root.
    attempt(() => setns(openSync(`/proc/1/ns/${name}`, "r"), type));
  }
  becomeProgram(command, args, { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" });
}

/** In a process of its own: mounts `program`'s `/usr` over that in the namespace of `pid`. */
export function layUsr(pid: number, program: string): void {
  const namespace = openSync(`/proc/${pid}/ns/mnt`, "r");
  // A thread that shares its root with others may not change its mount namespace.
  unshare(CLONE.FS);
  setns(namespace, CLONE.NEWNS);
  mount(`${program}/usr`, "/usr", null, MS.BIND | MS.REC, null);
}

function attempt(step: () => void): void {
  try {
    step();
  } catch {
    // Each of these is an improvement where it can be had.
  }
}
