/**
 * Finds out what has to be done in one namespace, and opens all that is needed for it. Nothing is
 * changed here, and whatever can block (a filesystem that does not answer) blocks here: what
 * follows, in `commit.ts`, is calls that never wait for a filesystem.
 */
import { closeSync, constants, fstatSync, statSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  MOUNT_ATTR,
  mountSetattr,
  MS,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
  openat2,
  openTree,
  RESOLVE,
} from "../sys/native.ts";
import type { Mount } from "../host/mountinfo.ts";
import { deviceOf, locate, LXCFS_TYPE, type Location, peerGroupOf, rootOf } from "./mount_table.ts";
import { mountIdOf, O_PATH, RefusedError, type Target } from "./target.ts";
import type { Binding, Job } from "./types.ts";

/** One target with the descriptors its change needs. */
export interface PlannedStep {
  readonly target: string;
  readonly does: "attach" | "replace" | "detach" | "already" | "skip";
  readonly why: string | undefined;
  /** The directory of the target, and the target's name in it. */
  readonly directoryFd: number;
  readonly name: string;
  /** The place itself, what is mounted there included; -1 where nothing is to be done. */
  readonly targetFd: number;
  /** The detached copy of the source mount, or -1. */
  readonly treeFd: number;
  /** Options (MS_*) that the copy gets once it is in place; 0 where it has them already. */
  readonly remount: number;
  /** How many mounts lie on the target that `detach` takes away. */
  readonly layers: number;
}

/** The namespace this process itself is in. */
export interface Host {
  readonly namespaces: ReadonlySet<string>;
  readonly mounts: readonly Mount[];
}

/** A plan owns descriptors: close it, whatever comes of it. */
export class Plan {
  readonly steps: PlannedStep[] = [];
  readonly #fds: number[] = [];

  /** Keeps `fd` until the plan is closed. */
  own(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeSync(fd);
  }
}

/**
 * @throws RefusedError where the job must not be done at all
 * @throws whatever opening a source says: then the job as a whole has failed
 */
export function planJob(job: Job, target: Target, host: Host): Plan {
  if (job.kind !== "probe" && host.namespaces.has(target.namespace)) {
    throw new RefusedError(
      `Process ${job.pid} is in the host's own mount namespace: mounting there would change the host`,
    );
  }
  const plan = new Plan();
  try {
    const places = new Places(plan, job, target, host);
    for (const binding of job.bindings) plan.steps.push(planStep(plan, places, job, host, binding));
    return plan;
  } catch (thrown) {
    plan.close();
    throw thrown;
  }
}

function planStep(plan: Plan, places: Places, job: Job, host: Host, binding: Binding): PlannedStep {
  const { target } = binding;
  const place = places.find(target);
  if (typeof place === "string") return nothing(target, "skip", place);
  const step = { ...place, target, why: undefined, ...NO_COPY, layers: 0 };
  if (job.kind === "probe") return { ...step, does: "already" };
  const { covering } = place;
  if (job.kind === "heal" && !(covering && job.deadDevices.includes(deviceOf(covering)))) {
    return nothing(target, "already");
  }
  const source = existingSource(binding);
  const wanted = source && locate(host.mounts, source.path);
  if (job.kind === "detach") {
    const layers = places.layersOf(target, covering, wanted);
    return layers > 0 ? { ...step, does: "detach", layers } : nothing(target, "already");
  }
  if (job.kind === "heal") {
    const why = source ? "dead" : "dead, and no longer served";
    if (!source) return { ...step, does: "detach", why, layers: 1 };
    return { ...step, does: "replace", why, ...cloneSource(plan, source) };
  }
  if (!source) return nothing(target, "skip", "not served");
  if (!covering) {
    const isDirectory = fstatSync(place.targetFd).isDirectory();
    if (isDirectory !== source.isDirectory) {
      return nothing(target, "skip", isDirectory ? "is a directory" : "is no directory");
    }
    return { ...step, does: "attach", ...cloneSource(plan, source) };
  }
  if (deviceOf(covering) === wanted?.device && rootOf(covering) === wanted.root) {
    return nothing(target, "already");
  }
  if (places.layersOf(target, covering, wanted) === 0) {
    return nothing(target, "skip", `covered by a ${covering.type} mount`);
  }
  const why = `was ${rootOf(covering)} of ${deviceOf(covering)}`;
  return { ...step, does: "replace", why, ...cloneSource(plan, source) };
}

function nothing(target: string, does: "already" | "skip", why?: string): PlannedStep {
  return { target, does, why, directoryFd: -1, name: "", targetFd: -1, ...NO_COPY, layers: 0 };
}

interface Source {
  readonly path: string;
  readonly isDirectory: boolean;
  /** Offered for writing: pressure files take triggers by write. */
  readonly writable: boolean;
}

/** What of a binding's sources exists. @throws if the filesystem that serves it is dead */
function existingSource(binding: Binding): Source | undefined {
  for (const path of [binding.source, ...(binding.otherwise ?? [])]) {
    const status = path === "" ? undefined : statSync(path, { throwIfNoEntry: false });
    if (status === undefined) continue;
    const offered = status.isFile() && (status.mode & 0o222) !== 0;
    const writable = offered || binding.writable === true;
    return { path, isDirectory: status.isDirectory(), writable };
  }
  return undefined;
}

type Copy = Pick<PlannedStep, "treeFd" | "remount">;
const NO_COPY: Copy = { treeFd: -1, remount: 0 };

/** A detached copy of the mount there, read-only unless the file is offered for writing. */
function cloneSource(plan: Plan, source: Source): Copy {
  const copy = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  const treeFd = plan.own(openTree(AT_FDCWD, source.path, copy));
  const { RDONLY, NOSUID, NODEV, NOEXEC } = MOUNT_ATTR;
  try {
    const set = NOSUID | NODEV | NOEXEC | (source.writable ? 0 : RDONLY);
    mountSetattr(treeFd, "", AT_EMPTY_PATH, set, 0);
    return { treeFd, remount: 0 };
  } catch (thrown) {
    // Linux 5.12 brought it. Before, only what is in place can be given options.
    if (errnoOf(thrown) !== errno.ENOSYS) throw thrown;
    const options = MS.NOSUID | MS.NODEV | MS.NOEXEC | (source.writable ? 0 : MS.RDONLY);
    return { treeFd, remount: options };
  }
}

interface Place {
  readonly directoryFd: number;
  readonly name: string;
  readonly targetFd: number;
  /** What is mounted exactly there, the topmost if there are several. */
  readonly covering: Mount | undefined;
}

/** Opens places of the container; each directory once. */
class Places {
  readonly #plan: Plan;
  readonly #job: Job;
  readonly #target: Target;
  readonly #hostGroups: ReadonlySet<string>;
  readonly #directories = new Map<string, { fd: number; mountId: number } | string>();

  constructor(plan: Plan, job: Job, target: Target, host: Host) {
    this.#plan = plan;
    this.#job = job;
    this.#target = target;
    this.#hostGroups = new Set(host.mounts.flatMap((mount) => peerGroupOf(mount) ?? []));
  }

  /** The place at `path` as the container sees it, or why there is none. */
  find(path: string): Place | string {
    const slash = path.lastIndexOf("/");
    const directory = this.#directory(path.slice(0, slash));
    if (typeof directory === "string") return directory;
    const name = path.slice(slash + 1);
    let targetFd: number;
    try {
      const resolve = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS;
      targetFd = this.#plan.own(openat2(directory.fd, name, O_PATH, resolve));
    } catch (thrown) {
      return whyMissing(thrown);
    }
    const mountId = mountIdOf(targetFd);
    const covering =
      mountId === directory.mountId
        ? undefined
        : this.#target.mounts.find((mount) => mount.id === mountId);
    if (mountId !== directory.mountId && !covering) return "changed while being looked at";
    return { directoryFd: directory.fd, name, targetFd, covering };
  }

  #directory(path: string): { fd: number; mountId: number } | string {
    const known = this.#directories.get(path);
    if (known !== undefined) return known;
    const opened = this.#openDirectory(path);
    this.#directories.set(path, opened);
    return opened;
  }

  #openDirectory(path: string): { fd: number; mountId: number } | string {
    let fd: number;
    try {
      const resolve = RESOLVE.IN_ROOT | RESOLVE.NO_SYMLINKS;
      const flags = O_PATH | constants.O_DIRECTORY;
      const full = this.#job.rootfs === "/" ? path || "/" : `${this.#job.rootfs}${path}`;
      fd = this.#plan.own(openat2(this.#target.rootFd, full, flags, resolve));
    } catch (thrown) {
      return whyMissing(thrown);
    }
    const mountId = mountIdOf(fd);
    const parent = this.#target.mounts.find((mount) => mount.id === mountId);
    const group = parent && peerGroupOf(parent);
    const changes = this.#job.kind !== "probe";
    if (changes && group !== undefined && this.#hostGroups.has(group)) {
      throw new RefusedError(
        `Process ${this.#job.pid} shares ${path || "/"} with the host (peer group ${group}): ` +
          `mounting there would change the host`,
      );
    }
    return { fd, mountId };
  }

  /** How many lxcfs mounts lie on each other at `path`, counted from the topmost. */
  layersOf(path: string, covering: Mount | undefined, wanted: Location | undefined): number {
    const byId = new Map(this.#target.mounts.map((mount) => [mount.id, mount]));
    const point = this.#job.rootfs === "/" ? path : `${this.#job.rootfs}${path}`;
    let layers = 0;
    let mount = covering;
    while (mount && mount.mountPoint === point) {
      if (mount.type !== LXCFS_TYPE && deviceOf(mount) !== wanted?.device) break;
      layers++;
      mount = byId.get(mount.parentId);
    }
    return layers;
  }
}

function whyMissing(thrown: unknown): string {
  const code = errnoOf(thrown);
  if (code === errno.ENOENT) return "the container has none";
  if (code === errno.ENOTDIR) return "the container has a file in place of its directory";
  if (code === errno.ELOOP) return "a symbolic link is in the way";
  if (code === errno.EACCES) return "the container's filesystem refuses access";
  if (code === errno.ENOTCONN) return "its directory lies on a dead mount";
  throw thrown;
}
