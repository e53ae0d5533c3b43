/**
 * Tells of containers as their cgroups appear, where the runtime does not tell itself. kubelet and
 * runtime name cgroups by what is in them, with either cgroup driver:
 *
 *   kubepods/burstable/pod0d4c1c3a-3d6a-4c1e-9b57-9e0a1b2c3d4e/<64 hex digits>
 *   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0d4c1c3a_3d6a_....slice/cri-containerd-<64 hex digits>.scope
 *
 * inotify works on cgroup directories, so a new one is seen at once; a slow look at everything finds
 * what it may have missed.
 */
import type { FSWatcher } from "node:fs";
import { existsSync, readdirSync, watch } from "node:fs";

/** A container's cgroup. */
export interface SeenContainer {
  podUid: string;
  id: string;
  /** Directory of its cgroup in the hierarchy that is watched. */
  cgroup: string;
}

const POD = /(?:^|-)pod([0-9a-f][0-9a-f_-]+)(?:\.slice)?$/;
const CONTAINER = /^(?:[\w-]+-)?([0-9a-f]{64})(?:\.scope)?$/;
const KUBEPODS = /^(?:.*-)?kubepods(?:\.slice)?$/;
const LEVEL = /^(?:.*kubepods-)?(?:burstable|besteffort|guaranteed)(?:\.slice)?$/;
/** kubelet's own root may lie this deep below the machine's. */
const MAX_ROOT_DEPTH = 3;
const LOOK_AGAIN_MS = 5000;

/** What a directory's name says it is. Pure. */
export function classify(name: string): { podUid?: string; containerId?: string; level: boolean } {
  const containerId = CONTAINER.exec(name)?.[1];
  if (containerId !== undefined) return { containerId, level: false };
  const podUid = POD.exec(name)?.[1];
  if (podUid !== undefined) return { podUid: podUid.replaceAll("_", "-"), level: false };
  return { level: LEVEL.test(name) };
}

/** The hierarchy in which containers are looked for: the one of version 2, or one every runtime uses. */
export function watchedHierarchy(cgroups = "/sys/fs/cgroup"): string {
  for (const name of ["", "memory", "cpu,cpuacct", "pids", "systemd"]) {
    const directory = name === "" ? cgroups : `${cgroups}/${name}`;
    if (existsSync(`${directory}/cgroup.procs`) && findKubepods(directory).length > 0)
      return directory;
  }
  return existsSync(`${cgroups}/cgroup.controllers`) ? cgroups : `${cgroups}/memory`;
}

function findKubepods(root: string, depth = 0): string[] {
  return directories(root).flatMap((name) => {
    if (KUBEPODS.test(name)) return [`${root}/${name}`];
    if (depth >= MAX_ROOT_DEPTH || classify(name).containerId !== undefined) return [];
    return findKubepods(`${root}/${name}`, depth + 1);
  });
}

/** Watches one hierarchy until it is closed. */
export class CgroupWatch {
  readonly #root: string;
  readonly #onContainer: (seen: SeenContainer) => void;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #seen = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(root: string, onContainer: (seen: SeenContainer) => void) {
    this.#root = root;
    this.#onContainer = onContainer;
  }

  start(): void {
    const look = () => {
      for (const kubepods of findKubepods(this.#root)) this.#scan(kubepods);
      this.#forget();
    };
    look();
    this.#timer = setInterval(look, LOOK_AGAIN_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** A directory of pods or of containers: what is new below it, and what will come. */
  #scan(directory: string, podUid?: string): void {
    this.#watch(directory, podUid);
    for (const name of directories(directory)) {
      const path = `${directory}/${name}`;
      const { podUid: pod, containerId, level } = classify(name);
      if (containerId !== undefined && podUid !== undefined) {
        if (this.#seen.has(path)) continue;
        this.#seen.add(path);
        this.#onContainer({ podUid, id: containerId, cgroup: path });
      } else if (pod !== undefined) this.#scan(path, pod);
      else if (level) this.#scan(path);
    }
  }

  #watch(directory: string, podUid?: string): void {
    if (this.#watchers.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        if (existsSync(directory)) this.#scan(directory, podUid);
        else this.#unwatch(directory);
      });
      watcher.on("error", () => this.#unwatch(directory));
      this.#watchers.set(directory, watcher);
    } catch {
      // Gone already, or no inotify watches left: the slow look finds what comes.
    }
  }

  #unwatch(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }

  #forget(): void {
    for (const path of this.#seen) if (!existsSync(path)) this.#seen.delete(path);
    for (const path of this.#watchers.keys()) if (!existsSync(path)) this.#unwatch(path);
  }
}

function directories(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
