/**
 * The machine that a container sees: one record from which every virtual file is rendered, so that
 * no two of them can disagree. Nothing here knows cgroup versions (see cgroup/) or file formats
 * (see views/).
 */
import type { Container } from "../caller/container.ts";
import type { DeviceIo, MemoryReading, NumaReading } from "../cgroup/types.ts";
import type { Meminfo } from "../host/meminfo.ts";
import type { Clock } from "../sys/clock.ts";
import { threadCpuMs } from "../sys/thread_time.ts";
import { advanceCpuRows, type CpuRow } from "./cpu_time.ts";
import { SLOT, type HistoryTable } from "./history.ts";
import type { Host } from "./host.ts";
import { addLoadSample, keepCounts, loadOf, type Load, type ThreadCounts } from "./load.ts";
import { meminfoFields, swapOf, type Swap, type SwapPolicy } from "./memory.ts";
import { countThreads } from "./threads.ts";
import { parseOwnCpuPolicy, topologyOf, type CpuPolicy, type Topology } from "./topology.ts";

/** How machines are shown; options of the mount. */
export interface MachineSettings extends SwapPolicy {
  readonly cpuPolicy: CpuPolicy;
  /** Show the host's uptime, from which start times of processes count without a time namespace. */
  readonly hostUptime: boolean;
  /** Show the container's own load average rather than the host's. */
  readonly loadavg: boolean;
}

/** USER_HZ: the unit of every time that the kernel shows in ticks, on all architectures of Linux. */
export const TICKS_PER_SECOND = 100;

/** Counts of threads are given again for this long, */
const COUNT_FRESH_MS = 1000;
/** and for this many times as long as counting took: one hundredth of a CPU at most. */
const COUNT_COST_RATIO = 100;

/** A count of threads, and what is to be remembered of it. */
interface Counted {
  readonly counts: ThreadCounts;
  /** CPU time of the cgroup just before. */
  readonly usageUs: number;
  readonly nowMs: number;
  readonly costMs: number;
}

export class Machine {
  readonly container: Container;
  readonly host: Host;
  readonly clock: Clock;
  readonly settings: MachineSettings;
  readonly #history: HistoryTable;

  constructor(
    container: Container,
    host: Host,
    clock: Clock,
    settings: MachineSettings,
    history: HistoryTable,
  ) {
    this.container = container;
    this.host = host;
    this.clock = clock;
    this.settings = settings;
    this.#history = history;
  }

  /** Memory as the cgroups account it; `undefined` without a memory controller. */
  memory(): MemoryReading | undefined {
    return this.container.cgroups.memory();
  }

  /**
   * Every field of /proc/meminfo that is the container's own, in bytes.
   * @param host the host's, if it was read already
   */
  meminfo(host?: Meminfo): Map<string, number> | undefined {
    const reading = this.memory();
    return reading && meminfoFields(reading, this.host.memory(host), this.settings);
  }

  swap(): Swap | undefined {
    const reading = this.memory();
    return reading && swapOf(reading, this.host.memory(), this.settings);
  }

  numa(): NumaReading | undefined {
    return this.container.cgroups.numa();
  }

  topology(): Topology {
    const { cgroups } = this.container;
    const policy = parseOwnCpuPolicy(this.container.cpuPolicy()) ?? this.settings.cpuPolicy;
    return topologyOf(policy, this.host.onlineCpus(), cgroups.cpuset(), cgroups.quota());
  }

  /** Time of each of its CPUs, `undefined` without CPU accounting. */
  cpuRows(): CpuRow[] | undefined {
    const topology = this.topology();
    const boottimeUs = this.clock.boottimeNs() / 1000;
    const times = this.container.cgroups.cpuTimes();
    if (times === undefined && !this.container.cgroups.alive()) return undefined;
    const startTicks = this.#startTicks();
    const account = { boottimeUs, ageUs: this.#secondsSince(startTicks) * 1e6, times };
    return this.#history.with(this.container.key, this.clock.monotonicMs(), (slot) => {
      slot[SLOT.startTicks] = startTicks;
      return advanceCpuRows(slot, topology, account);
    });
  }

  /** How long ago the container's first process was started; 0 if nobody was ever seen in it. */
  ageSeconds(): number {
    return this.#secondsSince(this.#startTicks());
  }

  /** Whether a process was ever seen in the container. */
  hasStarted(): boolean {
    return this.#startTicks() > 0;
  }

  /** By the leader or, where this thread has seen none, by the last that another one saw; else 0. */
  #startTicks(): number {
    const leader = this.container.leader();
    if (leader !== undefined) return leader.startTicks;
    const { key } = this.container;
    return this.#history.with(key, this.clock.monotonicMs(), (slot) => slot[SLOT.startTicks] ?? 0);
  }

  #secondsSince(startTicks: number): number {
    if (startTicks === 0) return 0;
    return Math.max(0, this.clock.boottimeNs() / 1e9 - startTicks / TICKS_PER_SECOND);
  }

  /**
   * What the container's clock says since boot. In a time namespace with a boot time of its own the
   * kernel has decided that (and start times of processes follow it); else it is the container's age,
   * or, where the operator wants that, what those start times count from: the host's boot.
   */
  uptimeSeconds(): number {
    const offsetNs = this.container.leader()?.boottimeOffsetNs ?? 0;
    if (offsetNs === 0 && !this.settings.hostUptime) return this.ageSeconds();
    return Math.max(0, (this.clock.boottimeNs() + offsetNs) / 1e9);
  }

  /** Idle time of all its CPUs together, in seconds. */
  idleSeconds(): number {
    let idleUs = 0;
    for (const row of this.cpuRows() ?? []) idleUs += row.idleUs;
    return idleUs / 1e6;
  }

  /** Seconds since the epoch when the container's clock since boot was 0. */
  bootSeconds(): number {
    const offsetNs = this.container.leader()?.boottimeOffsetNs ?? 0;
    return this.host.stat().btimeSeconds - Math.round(offsetNs / 1e9);
  }

  /** Load averages and process counts; sampled at once where the sampler has not come by yet. */
  load(): Load {
    const nowMs = this.clock.monotonicMs();
    const { key } = this.container;
    const known = this.#history.with(key, nowMs, (slot) => loadOf(slot, nowMs));
    if (known === undefined) this.sampleLoad();
    else if (this.#countIsOld(nowMs)) this.#keep(this.#count(), keepCounts);
    else return known;
    const fresh = this.#history.with(key, nowMs, (slot) => loadOf(slot, nowMs));
    return fresh ?? { averages: [0, 0, 0], running: 0, blocked: 0, threads: 0, lastPid: 1 };
  }

  /** Counts the container's threads and puts the result into its load averages. */
  sampleLoad(): void {
    const counted = this.#count();
    const { key } = this.container;
    const first = this.#history.with(key, counted.nowMs, (slot) => slot[SLOT.loadSampledMs] === 0);
    const busySeconds = first ? this.#busySeconds(counted) : 0;
    const nowMs = this.clock.monotonicMs();
    this.#keep(counted, (slot, counts) => addLoadSample(slot, counts, nowMs, busySeconds));
  }

  /** Whether the counts of threads are too old for who asks now; those of many threads may be older. */
  #countIsOld(nowMs: number): boolean {
    return this.#history.with(this.container.key, nowMs, (slot) => {
      const ageMs = nowMs - (slot[SLOT.countedMs] ?? 0);
      return ageMs > Math.max(COUNT_FRESH_MS, (slot[SLOT.countCostMs] ?? 0) * COUNT_COST_RATIO);
    });
  }

  /**
   * Counts the container's threads. Where nothing of it has run since they were last counted, none
   * of them can have changed its state but by being woken, and that is all there is to count.
   */
  #count(): Counted {
    const { container, clock } = this;
    const startMs = clock.monotonicMs();
    const startCpuMs = threadCpuMs();
    const usageUs = container.cgroups.cpuTimes()?.usageUs;
    const before = this.#history.with(container.key, startMs, (slot) => ({
      usageUs: slot[SLOT.countedUsageUs] ?? 0,
      counted: (slot[SLOT.countedMs] ?? 0) > 0,
      load: {
        running: slot[SLOT.running] ?? 0,
        blocked: slot[SLOT.blocked] ?? 0,
        threads: slot[SLOT.threads] ?? 0,
        lastPid: slot[SLOT.lastPid] ?? 0,
      },
    }));
    const still = before.counted && usageUs !== undefined && usageUs === before.usageUs;
    const counts = still ? before.load : countThreads(this.host, container);
    // On a busy machine counting takes longer, but costs no more.
    const costMs = threadCpuMs() - startCpuMs;
    return { counts, usageUs: usageUs ?? 0, nowMs: clock.monotonicMs(), costMs };
  }

  #keep(counted: Counted, use: (slot: Float64Array, counts: ThreadCounts) => void): void {
    this.#history.with(this.container.key, counted.nowMs, (slot) => {
      use(slot, counted.counts);
      slot[SLOT.countedUsageUs] = counted.usageUs;
      slot[SLOT.countedMs] = counted.nowMs;
      slot[SLOT.countCostMs] = counted.costMs;
    });
  }

  /** For how long the threads that run now can have been running, by the CPU time used so far. */
  #busySeconds({ counts, usageUs }: Counted): number {
    const { hostCpus } = this.topology();
    const cpus = Math.min(counts.running, hostCpus.length, this.container.cgroups.quota().cpus);
    if (cpus <= 0) return 0;
    return Math.min(this.ageSeconds(), usageUs / 1e6 / cpus);
  }

  /** I/O by device, `undefined` without a controller that accounts it. */
  io(): readonly DeviceIo[] | undefined {
    return this.container.cgroups.io();
  }
}
