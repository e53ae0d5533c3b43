/**
 * Who asks, for the cgroup tree: found anew for every request. While a request is served its thread
 * waits for the answer and can't go away, so what /proc says of the number is said of that thread.
 */
import { closeSync, openSync, statSync } from "node:fs";
import { initOfPidNamespace, namespaceOf } from "../caller/pid_namespace.ts";
import type { CgroupLayout } from "../cgroup/layout.ts";
import { cgroupDirectory, cgroupPaths } from "../cgroup/paths.ts";
import type { Hierarchy } from "../cgroup/types.ts";
import { readMountinfo } from "../host/mountinfo.ts";
import { opening } from "../sys/exhaustion.ts";
import type { HostPid } from "../sys/ids.ts";
import { tryReadFile } from "../sys/read.ts";
import { isContained, ownRootOf, type Place } from "./decide.ts";
import { type Identity, readIdentity } from "./identity.ts";
import { type CgroupMounts, cgroupMountsOf, rootsOf } from "./own_mounts.ts";

/** Namespaces by which a caller is told from the host, in their number. */
interface Namespaces {
  readonly pid: number | undefined;
  readonly user: number | undefined;
  readonly cgroup: number | undefined;
  readonly mnt: number | undefined;
}

export interface Caller {
  readonly tid: number;
  /** In no container and in no namespace of its own: sees everything, may what its user may. */
  readonly isHost: boolean;
  /** Whether it numbers processes as the server does. */
  readonly samePids: boolean;
  /** Read when first asked for. @throws if the thread is gone */
  identity(): Identity;
  /** Its own topmost cgroup as a path of the host; `/` where it has none. */
  rootPath(hierarchy: Hierarchy): string;
  /** That cgroup's id; `undefined` where it has none, or it is gone. */
  rootId(hierarchy: Hierarchy): number | undefined;
}

/** How long the cgroup mounts of a thread are taken for granted. */
const MOUNTS_MS = 1000;
const MAX_KNOWN_MOUNTS = 1024;

export interface CallersOptions {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly nowMs: () => number;
}

export class Callers {
  readonly #options: CallersOptions;
  readonly #own: Namespaces;
  readonly #nowMs: () => number;
  /**
   * By the thread's number and that of its mount namespace. Not by the latter alone: the kernel gives
   * it to the next namespace at once, and holding the namespace would hold all of its mounts.
   */
  readonly #mounts = new Map<string, { readonly mounts: CgroupMounts; readonly untilMs: number }>();

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs;
    this.#own = this.#namespaces(process.pid);
  }

  /** @returns `undefined` for a thread of which nothing is known: it is shown nothing */
  of(tid: number): Caller | undefined {
    const { procRoot, layout } = this.#options;
    // Number 0: a thread that is not visible in the server's pid namespace.
    if (tid <= 0) return undefined;
    const namespaces = this.#namespaces(tid);
    const text = tryReadFile(`${procRoot}/${tid}/cgroup`);
    if (text === undefined || namespaces.pid === undefined || namespaces.user === undefined) {
      return undefined;
    }
    const roots = this.#roots(tid, text, namespaces);
    const ofHost = namespaces.user === this.#own.user;
    const samePids = namespaces.pid === this.#own.pid;
    const isHost = ofHost && samePids && roots === undefined;
    const paths = roots ?? cgroupPaths(layout, text);
    let identity: Identity | undefined;
    const rootPath = (hierarchy: Hierarchy): string => paths.get(hierarchy) ?? "/";
    return {
      tid,
      isHost,
      samePids,
      identity: () => (identity ??= readIdentity(procRoot, tid, ofHost)),
      rootPath,
      rootId(hierarchy) {
        const path = rootPath(hierarchy);
        const directory = path === "/" ? undefined : cgroupDirectory(hierarchy, path);
        if (directory === undefined) return undefined;
        // Paths of kernel files are read byte by byte.
        const bytes = Buffer.from(directory, "latin1");
        return statSync(bytes, { throwIfNoEntry: false })?.ino;
      },
    };
  }

  /** A container's own topmost cgroups; `undefined` for a caller in none. */
  #roots(
    tid: number,
    text: string,
    namespaces: Namespaces,
  ): ReadonlyMap<Hierarchy, string> | undefined {
    const { procRoot } = this.#options;
    const own = this.#own;
    const inHost = namespaces.pid === own.pid;
    const places = this.#places(tid, text, namespaces);
    let initPlaces: ReadonlyMap<Hierarchy, Place> | undefined;
    let entered = false;
    if (!inHost) {
      const init = this.#init(tid);
      const initText = init === undefined ? undefined : tryReadFile(`${procRoot}/${init}/cgroup`);
      if (init === undefined || initText === undefined) return new Map();
      const mnt = namespaceOf(procRoot, init, "mnt");
      initPlaces = this.#places(init, initText, { ...namespaces, mnt });
      entered = mnt !== undefined && mnt === namespaces.mnt;
    }
    const roots = new Map<Hierarchy, string>();
    let confined = !inHost || namespaces.cgroup !== own.cgroup || namespaces.user !== own.user;
    for (const [hierarchy, place] of places) {
      const root = ownRootOf(place, initPlaces?.get(hierarchy), entered);
      roots.set(hierarchy, root);
      confined ||= isContained(place);
    }
    return confined ? roots : undefined;
  }

  #places(pid: number, cgroupText: string, namespaces: Namespaces): ReadonlyMap<Hierarchy, Place> {
    const { layout } = this.#options;
    const mounts = this.#mountsIn(pid, namespaces);
    const places = new Map<Hierarchy, Place>();
    for (const [hierarchy, path] of cgroupPaths(layout, cgroupText)) {
      places.set(hierarchy, { path, mounts: rootsOf(mounts, hierarchy) });
    }
    return places;
  }

  #mountsIn(pid: number, namespaces: Namespaces): CgroupMounts {
    const key = `${pid} ${namespaces.mnt}`;
    const nowMs = this.#nowMs();
    const known = this.#mounts.get(key);
    if (known !== undefined && nowMs < known.untilMs) return known.mounts;
    const mounts = cgroupMountsOf(readMountinfo(this.#options.procRoot, pid));
    if (this.#mounts.size >= MAX_KNOWN_MOUNTS) this.#mounts.clear();
    this.#mounts.set(key, { mounts, untilMs: nowMs + MOUNTS_MS });
    return mounts;
  }

  #init(tid: number): HostPid | undefined {
    const { procRoot } = this.#options;
    let fd = -1;
    try {
      fd = opening(() => openSync(`${procRoot}/${tid}/ns/pid`, "r"));
      return initOfPidNamespace(procRoot, fd, tid as HostPid);
    } catch {
      return undefined;
    } finally {
      if (fd >= 0) closeSync(fd);
    }
  }

  #namespaces(tid: number): Namespaces {
    const { procRoot } = this.#options;
    return {
      pid: namespaceOf(procRoot, tid, "pid"),
      user: namespaceOf(procRoot, tid, "user"),
      cgroup: namespaceOf(procRoot, tid, "cgroup"),
      mnt: namespaceOf(procRoot, tid, "mnt"),
    };
  }
}
