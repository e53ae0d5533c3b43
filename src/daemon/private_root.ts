/**
 * The mount namespace of the server, made of what serving needs: the program's own files, a procfs of
 * its own, `/sys`, and the cgroups, all read-only. No other mount of the host is in it, so that none
 * is kept from being unmounted; and what is mounted over the host's `/proc` later changes no answer.
 */
import { closeSync, existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { detectLayout } from "../cgroup/layout.ts";
import { type Mount, parseMountinfo } from "../host/mountinfo.ts";
import { readFile } from "../sys/read.ts";
import {
  AT_FDCWD,
  fchdir,
  MNT,
  mount,
  MOVE_MOUNT_F_EMPTY_PATH,
  moveMount,
  MS,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  openTree,
  pivotRoot,
  umount,
} from "../sys/native.ts";
import { fromBytes, MOUNT_TYPE } from "./mountpoint.ts";

export interface PrivateRoot {
  /** Why there is no procfs of its own, where that was refused: the host's is there in its place. */
  readonly procRefused: string | undefined;
  /** Lets go of the host's mounts. Once, in here, and not at once: it takes tens of milliseconds. */
  detachHost(): void;
}

/**
 * Makes the calling thread's mount namespace, a copy of the host's, into the server's.
 * @param cgroupsWritable for the cgroup tree and for pressure triggers, which write there
 * @throws where a step is refused; the thread is then half-way, and has to leave that namespace
 */
export function makePrivateRoot(cgroupsWritable: boolean): PrivateRoot {
  const text = relevantLines(readFile("/proc/thread-self/mountinfo"));
  const mounts = parseMountinfo(text);
  // Nothing that is done from here on reaches the host.
  mount("none", "/", null, MS.REC | MS.PRIVATE, null);
  const root = openTree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  moveMount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
  // The old root is covered now: from "/" paths still lead through it, relative ones through the new.
  fchdir(root);
  const cgroups = detectLayout(text).hierarchies.map(({ mountPoint }) => mountPoint);
  for (const path of mountsOnTheWay(mounts, [...programPaths(), ...cgroups])) bind(path);
  bind("/sys", MS.REC);
  const procRefused = mountProc(mounts);
  for (const { mountPoint, options } of mounts) {
    const isCgroup = cgroups.includes(mountPoint);
    const isWanted = isCgroup ? !cgroupsWritable : isBelow(mountPoint, "/sys");
    if (isWanted || mountPoint === "/") makeReadOnly(mountPoint, options);
  }
  pivotRoot(".", ".");
  return {
    procRefused,
    detachHost: () => {
      // After pivot_root(".", ".") it covers the new root in its turn, and is found from there only.
      fchdir(root);
      umount(".", MNT.DETACH);
      closeSync(root);
    },
  };
}

/** Where code may still have to be loaded from: threads are started for as long as the server lives. */
function programPaths(): string[] {
  const program = fileURLToPath(new URL(".", import.meta.url));
  const paths = [program, process.execPath, "/lib", "/lib64", "/usr/lib"];
  return paths.filter((path) => existsSync(path)).map((path) => realpathSync(path));
}

/** Of a mountinfo, what there may be thousands of left out: a host with many containers has those. */
function relevantLines(text: string): string {
  const lines = text.split("\n");
  const pointOf = (line: string): string => line.split(" ", 5)[4] ?? "";
  const cgroups = lines.filter((line) => / - cgroup2? /.test(line)).map(pointOf);
  const wanted = [...programPaths(), ...cgroups];
  const isRelevant = (point: string): boolean =>
    ["/proc", "/sys"].some((whole) => isBelow(point, whole)) ||
    // The kernel's escapes: seldom, and left to the parser.
    point.includes("\\") ||
    wanted.some((path) => isBelow(path, point));
  return lines.filter((line) => isRelevant(pointOf(line))).join("\n");
}

/** The mounts that lead to `paths`, outermost first; those that are taken along as wholes left out. */
function mountsOnTheWay(mounts: readonly Mount[], paths: readonly string[]): string[] {
  const found = mounts
    .map(({ mountPoint }) => mountPoint)
    .filter((point) => point !== "/" && !isBelow(point, "/proc") && !isBelow(point, "/sys"))
    .filter((point) => paths.some((path) => isBelow(path, fromBytes(point))));
  return [...new Set(found)].sort((a, b) => a.length - b.length);
}

/**
 * A new procfs shows every process, whatever `hidepid` says on the host. In a container that has
 * files of another lxcfs, those go on being its machine's.
 * @returns why the kernel refused it, as it does in user namespaces that are shown a masked one
 */
function mountProc(mounts: readonly Mount[]): string | undefined {
  try {
    mount("proc", "proc", "proc", MS.NOSUID | MS.NODEV | MS.NOEXEC, null);
    makeReadOnly("/proc", "nosuid,nodev,noexec");
  } catch (refused) {
    bind("/proc", MS.REC);
    return String(refused);
  }
  for (const { mountPoint, type } of mounts) {
    const isOurs = type === MOUNT_TYPE && isBelow(mountPoint, "/proc");
    if (isOurs && existsSync(`.${mountPoint}`)) bind(mountPoint);
  }
  return undefined;
}

/** @param mountPoint as mountinfo has it, byte by byte */
function bind(mountPoint: string, flags = 0): void {
  const path = fromBytes(mountPoint);
  mount(path, `.${path}`, null, MS.BIND | flags, null);
}

/** Options that a remount takes away unless it repeats them. */
const KEPT: Readonly<Record<string, number>> = {
  nosuid: MS.NOSUID,
  nodev: MS.NODEV,
  noexec: MS.NOEXEC,
};

/** This mount only: its filesystem stays as it is for everybody else. */
function makeReadOnly(mountPoint: string, options: string): void {
  let flags = MS.REMOUNT | MS.BIND | MS.RDONLY;
  for (const option of options.split(",")) flags |= KEPT[option] ?? 0;
  mount("none", `.${fromBytes(mountPoint)}`, null, flags, null);
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || directory === "/" || path.startsWith(`${directory}/`);
}
