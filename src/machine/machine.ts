/**
 * The machine that a container sees: one record from which every virtual file is rendered, so that
 * no two of them can disagree. Nothing here knows cgroup versions (see cgroup/) or file formats
 * (see views/).
 */
import type { Container } from "../caller/container.ts";
import type { CpuTimes, DeviceIo, MemoryReading, NumaReading } from "../cgroup/types.ts";
import type { Clock } from "../sys/clock.ts";
import { advanceCpuRows, type CpuRow } from "./cpu_time.ts";
import type { HistoryTable } from "./history.ts";
import type { Host } from "./host.ts";
import { addLoadSample, loadOf, type Load } from "./load.ts";
import { meminfoFields, swapOf, type Swap, type SwapPolicy } from "./memory.ts";
import { countThreads } from "./threads.ts";
import { CPU_POLICIES, topologyOf, type CpuPolicy, type Topology } from "./topology.ts";

/** How machines are shown; options of the mount. */
export interface MachineSettings extends SwapPolicy {
  readonly cpuPolicy: CpuPolicy;
  /** Show the container's own load average rather than the host's. */
  readonly loadavg: boolean;
}

const NO_CPU_TIME: CpuTimes = { usageUs: 0, userUs: 0, systemUs: 0, niceUs: 0, perCpu: undefined };
/** USER_HZ: the unit of every time that the kernel shows in ticks, on all architectures of Linux. */
export const TICKS_PER_SECOND = 100;

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

  /** Every field of /proc/meminfo that is the container's own, in bytes. */
  meminfo(): Map<string, number> | undefined {
    const reading = this.memory();
    return reading && meminfoFields(reading, this.host.memory(), this.settings);
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
    const own = this.container.cpuPolicy();
    const policy = CPU_POLICIES.find((each) => each === own) ?? this.settings.cpuPolicy;
    return topologyOf(policy, this.host.onlineCpus(), cgroups.cpuset(), cgroups.quota());
  }

  /** Time of each of its CPUs, `undefined` without CPU accounting. */
  cpuRows(): CpuRow[] | undefined {
    const topology = this.topology();
    const boottimeUs = this.clock.boottimeNs() / 1000;
    const times = this.container.cgroups.cpuTimes();
    if (times === undefined && !this.container.cgroups.alive()) return undefined;
    const account = {
      boottimeUs,
      ageUs: this.ageSeconds() * 1e6,
      // No controller accounts its CPU time: then at least the time that passes is its own.
      times: times ?? NO_CPU_TIME,
    };
    return this.#history.with(this.container.key, this.clock.monotonicMs(), (slot) =>
      advanceCpuRows(slot, topology, account),
    );
  }

  /** How long ago the container's first process was started; 0 if nobody was ever seen in it. */
  ageSeconds(): number {
    const leader = this.container.leader();
    if (leader === undefined) return 0;
    const age = this.clock.boottimeNs() / 1e9 - leader.startTicks / TICKS_PER_SECOND;
    return Math.max(0, age);
  }

  /**
   * What the container's clock says since boot. In a time namespace with a boot time of its own the
   * kernel has decided that (and start times of processes follow it); else it is the container's age.
   */
  uptimeSeconds(): number {
    const offsetNs = this.container.leader()?.boottimeOffsetNs ?? 0;
    if (offsetNs === 0) return this.ageSeconds();
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

  /** Load averages and process counts; counted at once where the sampler has not come by yet. */
  load(): Load {
    const nowMs = this.clock.monotonicMs();
    const { key } = this.container;
    const known = this.#history.with(key, nowMs, (slot) => loadOf(slot, nowMs));
    if (known !== undefined) return known;
    this.sampleLoad();
    const first = this.#history.with(key, nowMs, (slot) => loadOf(slot, nowMs));
    return first ?? { averages: [0, 0, 0], running: 0, blocked: 0, threads: 0, lastPid: 1 };
  }

  /** Counts the container's threads and puts the result into its load averages. */
  sampleLoad(): void {
    const counts = countThreads(this.host.procRoot, this.container);
    const ageSeconds = this.ageSeconds();
    const nowMs = this.clock.monotonicMs();
    this.#history.with(this.container.key, nowMs, (slot) => {
      addLoadSample(slot, counts, nowMs, ageSeconds);
    });
  }

  /** I/O by device, `undefined` without a controller that accounts it. */
  io(): readonly DeviceIo[] | undefined {
    return this.container.cgroups.io();
  }
}
