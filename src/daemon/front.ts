/**
 * The start of a mount: everything that can be wrong is found out here, before anything is changed;
 * then the filesystem is mounted and this process becomes the holder.
 */
import { constants, mkdirSync, openSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { monotonicMs } from "../sys/clock.ts";
import { errno, errnoName, errnoOf } from "../sys/errno.ts";
import {
  execve,
  exitNow,
  MNT,
  mount,
  pidfdGetfd,
  pidfdOpen,
  setInherit,
  umount,
} from "../sys/native.ts";
import { CONFIG_VARIABLE, type DaemonConfig } from "./config.ts";
import { harden } from "./harden.ts";
import {
  escapeMountPath,
  liveness,
  MOUNT_TYPE,
  mountpointPath,
  mountTypeAt,
} from "./mountpoint.ts";
import { parseMountOptions } from "./mount_options.ts";
import { controlDirectory, controlSocketPath } from "./paths.ts";
import { PidfileHeldError, takePidfile } from "./pidfile.ts";
import { createState, openState } from "./state.ts";
import type { Status } from "./status.ts";

/** Dead mounts that may be stacked on one mountpoint, one for each start that nobody cleaned up. */
const MAX_STACKED = 64;

/** V8's share of the server's memory is kept small; see docs/operations.md for the figures. */
export const NODE_FLAGS: readonly string[] = ["--max-semi-space-size=1", "--max-old-space-size=64"];

/**
 * glibc keeps what threads once needed: of the compilers' memory, each of a dozen threads its own. Two
 * arenas that give back what is free cost the server 6 MB less (docs/operations.md).
 */
const MALLOC: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "65536",
  MALLOC_TOP_PAD_: "16384",
};

/**
 * Not for the server. Node.js reads certificates at each start, two thirds of all that a start takes;
 * the server opens no connection that would need them.
 */
const NOT_INHERITED: ReadonlySet<string> = new Set([CONFIG_VARIABLE, "NODE_EXTRA_CA_CERTS"]);

/** What of the configuration the front itself finds out. */
export type FrontRequest = Omit<
  DaemonConfig,
  "fuseFd" | "stateFd" | "cachedFd" | "lockFd" | "heal" | "pidfile" | "controlSocket"
> & { readonly pidfile: string | undefined; readonly mountOptions: string };

/**
 * Mounts and becomes the holder.
 * @throws Error with one clear line; then nothing is left mounted
 */
export async function start(request: FrontRequest): Promise<never> {
  if (process.geteuid?.() !== 0) {
    throw new Error("Cannot mount: this needs root, and the user id found is not 0");
  }
  const options = parseMountOptions(request.mountOptions);
  const mountpoint = mountpointPath(request.mountpoint);
  const runtimeDir = resolve(request.runtimeDir);
  const pidfile = resolve(request.pidfile ?? join(runtimeDir, "lxcfs.pid"));
  const controlSocket = controlSocketPath(runtimeDir, mountpoint);
  const { orphan, foundDead } = await freeMountpoint(mountpoint, controlSocket);
  makeDirectory(controlDirectory(runtimeDir));
  const lockFd = lock(pidfile);
  const { mountOptions: _, ...rest } = request;
  const config = {
    ...rest,
    mountpoint,
    runtimeDir,
    pidfile,
    controlSocket,
    lockFd,
    heal: foundDead,
  };
  harden(config.view);
  if (orphan) adopt(config, orphan);
  const fuseFd = openFuse();
  // Opened here because only the holder's descriptors outlive every server.
  const cachedFd = config.view.freshnessMs > 0 ? openFuse() : -1;
  const state = createState();
  state.set("holderPid", process.pid);
  state.set("startSeconds", Math.floor(Date.now() / 1000));
  state.set("startMonotonicSeconds", Math.floor(monotonicMs() / 1000));
  const extra = options.data === "" ? "" : `,${options.data}`;
  mount(
    "lxcfs",
    mountpoint,
    MOUNT_TYPE,
    options.flags,
    `fd=${fuseFd},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions${extra}`,
  );
  try {
    becomeHolder({ ...config, fuseFd, stateFd: state.fd, cachedFd });
  } catch (error) {
    umount(mountpoint, MNT.DETACH);
    throw error;
  }
}

/** Becomes the holder of a server that has lost its own, as a supervisor's restart finds it. */
function adopt(
  config: Omit<DaemonConfig, "fuseFd" | "stateFd" | "cachedFd">,
  orphan: Status,
): never {
  const pidfd = pidfdOpen(orphan.serverPid);
  const fuseFd = pidfdGetfd(pidfd, orphan.fuseFd);
  const stateFd = pidfdGetfd(pidfd, orphan.stateFd);
  openState(stateFd).add("mountsAdopted");
  // A server of an earlier version has no second connection.
  const theirs = orphan.cachedFd ?? -1;
  const cachedFd = theirs < 0 ? -1 : pidfdGetfd(pidfd, theirs);
  becomeHolder({ ...config, fuseFd, stateFd, cachedFd }, orphan.serverPid);
}

/**
 * Turns this process into the holder: a shell of under 2 MB that keeps the descriptors open and the
 * server running. The process id stays, and with it the lock on the pidfile.
 * @param predecessor pid of a server that already serves and is to be relieved; 0 if there is none
 */
export function becomeHolder(config: DaemonConfig, predecessor = 0): never {
  const { fuseFd, stateFd, cachedFd, lockFd } = config;
  for (const fd of [0, 1, 2, fuseFd, stateFd, cachedFd, lockFd]) {
    if (fd >= 0) setInherit(fd, true);
  }
  const script = fileURLToPath(new URL("../../../bin/holder.sh", import.meta.url));
  const environment: Record<string, string> = {
    ...MALLOC,
    [CONFIG_VARIABLE]: JSON.stringify(config),
  };
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !NOT_INHERITED.has(name)) environment[name] = value;
  }
  const shell = findShell();
  execve(
    shell,
    [
      "lxcfs",
      ...(basename(shell) === "busybox" ? ["sh"] : []),
      script,
      config.mountpoint,
      escapeMountPath(config.mountpoint),
      config.pidfile,
      String(predecessor),
      process.execPath,
      // Unresolved on purpose: a later version may be installed at the same path.
      resolve(process.argv[1] ?? ""),
      ...NODE_FLAGS,
    ],
    environment,
  );
}

/** dash where it is, because it is the smallest; any POSIX shell will do. */
function findShell(): string {
  const shells = ["/bin/dash", "/usr/bin/dash", "/bin/sh", "/usr/bin/sh"];
  const found = shells.find((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  if (found === undefined) throw new Error(`Cannot start the holder: none of ${shells.join(", ")}`);
  return found;
}

/**
 * Sees to it that `path` can be mounted on: a directory, with nothing of ours alive on it. Dead
 * mounts, whoever left them, are detached.
 * @returns the status of a server that serves there but has no holder: it can be adopted
 */
async function freeMountpoint(
  path: string,
  controlSocket: string,
): Promise<{ orphan: Status | undefined; foundDead: boolean }> {
  let isAborted = false;
  for (let detached = 0; detached < MAX_STACKED; detached++) {
    const type = mountTypeAt(path);
    if (type?.startsWith("fuse") === true) {
      const found = await liveness(path);
      if (found === "dead") {
        umount(path, MNT.DETACH);
        continue;
      }
      if (found === "hung") {
        if (type !== MOUNT_TYPE || isAborted) refuseHung(path, type);
        const { abortConnections, isDeserted } = await import("./deserted.ts");
        if (!(await isDeserted(controlSocket))) refuseHung(path, type);
        abortConnections(path);
        isAborted = true;
        continue;
      }
      if (type === MOUNT_TYPE) {
        const { askStatus } = await import("./control.ts");
        const status = await askStatus(controlSocket).catch(() => undefined);
        if (status?.holderAlive === false) return { orphan: status, foundDead: detached > 0 };
        const who = status ? ` (process ${status.holderPid}, version ${status.version})` : "";
        throw new Error(
          `Cannot mount on ${path}: a live lxcfs${who} serves it already; end that first, ` +
            `or upgrade it in place with "lxcfs upgrade ${path}"`,
        );
      }
    }
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      throw new Error(
        `Cannot mount on ${path}: no such directory; make it with "mkdir -p ${path}"`,
      );
    }
    if (!stat.isDirectory()) throw new Error(`Cannot mount on ${path}: it is not a directory`);
    return { orphan: undefined, foundDead: detached > 0 };
  }
  throw new Error(
    `Cannot mount on ${path}: more than ${MAX_STACKED} dead mounts are stacked there`,
  );
}

/** The thread that asked may never come back, so an ordinary exit could hang. */
function refuseHung(path: string, type: string): never {
  process.stderr.write(
    `lxcfs: Cannot mount on ${path}: the ${type} filesystem there does not answer; ` +
      `see what holds its server, or detach it with "umount -l ${path}"\n`,
  );
  exitNow(1);
}

/** Level by level: Node.js's own recursive mkdir never returns where the kernel says ENOENT, as in /proc. */
function makeDirectory(path: string): void {
  if (isDirectory(path)) return;
  if (dirname(path) !== path) makeDirectory(dirname(path));
  try {
    mkdirSync(path, 0o755);
  } catch (error) {
    // Another start was quicker.
    if (errnoOf(error) === errno.EEXIST) return;
    throw new Error(
      `Cannot create ${path}: ${errnoName(errnoOf(error))}; choose another --runtime-dir`,
      { cause: error },
    );
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function lock(pidfile: string): number {
  try {
    return takePidfile(pidfile, process.pid);
  } catch (error) {
    if (error instanceof PidfileHeldError) throw error;
    throw new Error(
      `Cannot write the pidfile ${pidfile}: ${errnoName(errnoOf(error))}; ` +
        `see that ${dirname(pidfile)} is a writable directory, or choose another --pidfile`,
      { cause: error },
    );
  }
}

function openFuse(): number {
  try {
    return openSync("/dev/fuse", constants.O_RDWR);
  } catch (error) {
    const code = errnoOf(error);
    const hint =
      code === errno.ENOENT || code === errno.ENODEV || code === errno.ENXIO
        ? 'the kernel has no FUSE; load it with "modprobe fuse"'
        : "this process may not use the device; in a container, allow it (--device /dev/fuse)";
    throw new Error(`Cannot open /dev/fuse: ${errnoName(code)}; ${hint}`, { cause: error });
  }
}
