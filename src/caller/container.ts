/**
 * One container as this project sees it: a cgroup (in every hierarchy), what is accounted to it, and
 * the process that leads it.
 */
import type { CgroupPaths, ContainerCgroups } from "../cgroup/types.ts";
import { parseProcessStat } from "../host/proc_stat.ts";
import { parseProcessStatus } from "../host/proc_status.ts";
import { parseTimensOffsets } from "../host/timens_offsets.ts";
import { HeldFile } from "../sys/held_file.ts";
import type { HostPid } from "../sys/ids.ts";
import { getXattr, setXattr } from "../sys/native.ts";
import { tryReadFile } from "../sys/read.ts";
import { keyToName, type ContainerKey } from "./container_key.ts";

/** Extended attribute of a container's cgroup that sets its CPU policy apart from the mount's. */
export const CPU_POLICY_XATTR = "trusted.lxcfs.cpu_policy";

/** The process whose start is the container's start. */
export interface Leader {
  readonly pid: HostPid;
  /** Start time in ticks since boot (`/proc/<pid>/stat` field 22), in the host's time. */
  readonly startTicks: number;
  /** Offset of CLOCK_BOOTTIME in the container's time namespace, in nanoseconds; 0 without one. */
  readonly boottimeOffsetNs: number;
  /** Whether it is the first process of a pid namespace of the container's own. */
  readonly isInit: boolean;
}

export class Container {
  readonly key: ContainerKey;
  readonly cgroups: ContainerCgroups;
  readonly #procRoot: string;
  /** The cgroup's own directory in the hierarchy of its key. */
  readonly #directory: string | undefined;
  /** The first process of the pid namespace by which the container was found. */
  #hint: HostPid | undefined;
  #leader: Leader | undefined;
  #alive: HeldFile | undefined;

  constructor(
    key: ContainerKey,
    cgroups: ContainerCgroups,
    directory: string | undefined,
    procRoot: string,
    hint?: HostPid,
  ) {
    this.key = key;
    this.cgroups = cgroups;
    this.#directory = directory;
    this.#procRoot = procRoot;
    this.#hint = hint;
  }

  /** Its directory below `containers/`. */
  get name(): string {
    return keyToName(this.key);
  }

  get paths(): CgroupPaths {
    return this.cgroups.paths;
  }

  /**
   * The CPU policy that the operator gave this container, as text. It is kept by the kernel on the
   * cgroup itself: it goes with it, survives every restart, and no container can write it.
   */
  cpuPolicy(): string | undefined {
    return this.#directory && getXattr(this.#directory, CPU_POLICY_XATTR);
  }

  /**
   * Sets or, with an empty text, takes away the CPU policy of this container.
   * @throws SystemError; Error where the container's cgroup cannot be seen from here
   */
  setCpuPolicy(policy: string): void {
    if (this.#directory === undefined) {
      throw new Error(`Cannot set the CPU policy of ${this.name}: its cgroup is not mounted here`);
    }
    if (policy === "" && this.cpuPolicy() === undefined) return;
    setXattr(this.#directory, CPU_POLICY_XATTR, policy);
  }

  /**
   * The container's leader: the first process of its pid namespace, or, where it has none of its own
   * (a shared pid namespace, the host's), the process in it that was started first. The last one
   * known is given while nobody runs in the container; `undefined` if nobody was ever seen.
   */
  leader(): Leader | undefined {
    if (this.#alive?.read() !== undefined) return this.#leader;
    this.#alive?.close();
    this.#alive = undefined;
    const found = this.#findLeader();
    if (found === undefined) return this.#leader;
    const known = this.#leader;
    // Without a pid namespace of its own the container is as old as the oldest that was seen in it.
    const goesOn = known !== undefined && !known.isInit && !found.isInit;
    const startTicks = goesOn ? Math.min(known.startTicks, found.startTicks) : found.startTicks;
    this.#leader = { ...found, startTicks };
    this.#alive = new HeldFile(`${this.#procRoot}/${found.pid}/stat`, { onlyThisOne: true });
    this.#alive.read();
    return this.#leader;
  }

  close(): void {
    this.#alive?.close();
    this.#alive = undefined;
    this.cgroups.close();
  }

  #findLeader(): Leader | undefined {
    const hint = this.#hint;
    this.#hint = undefined;
    const hinted = hint && this.#leaderAt(hint, true);
    if (hinted) return hinted;
    let best: Leader | undefined;
    let bestDepth = Infinity;
    for (const pid of this.cgroups.processes()) {
      const depth = this.#initDepth(pid);
      if (depth > bestDepth) continue;
      const leader = this.#leaderAt(pid as HostPid, depth < Number.MAX_SAFE_INTEGER);
      if (leader === undefined) continue;
      if (depth < bestDepth || leader.startTicks < (best?.startTicks ?? Infinity)) {
        best = leader;
        bestDepth = depth;
      }
    }
    return best;
  }

  /** How many pid namespaces deep a namespace's first process is; large for any other process. */
  #initDepth(pid: number): number {
    const text = tryReadFile(`${this.#procRoot}/${pid}/status`);
    if (text === undefined) return Infinity;
    try {
      const { namespacePids } = parseProcessStatus(text);
      return namespacePids.length > 1 && namespacePids.at(-1) === 1
        ? namespacePids.length
        : Number.MAX_SAFE_INTEGER;
    } catch {
      return Infinity;
    }
  }

  #leaderAt(pid: HostPid, isInit: boolean): Leader | undefined {
    const stat = tryReadFile(`${this.#procRoot}/${pid}/stat`);
    if (stat === undefined) return undefined;
    const offsets = tryReadFile(`${this.#procRoot}/${pid}/timens_offsets`);
    try {
      return {
        pid,
        startTicks: parseProcessStat(stat).startTicks,
        boottimeOffsetNs: offsets === undefined ? 0 : parseTimensOffsets(offsets).boottimeNs,
        isInit,
      };
    } catch {
      return undefined;
    }
  }
}
