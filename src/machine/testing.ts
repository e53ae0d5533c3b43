/** What tests of machines and views start from: a clock that is set by hand, a captured machine. */
import { type Fixture, unpackFixture } from "../../tools/fixture.ts";
import { Container } from "../caller/container.ts";
import type { ContainerKey } from "../caller/container_key.ts";
import { openContainerCgroups } from "../cgroup/container.ts";
import type { CgroupPaths } from "../cgroup/types.ts";
import { parseUptime } from "../host/uptime.ts";
import type { Clock } from "../sys/clock.ts";
import type { HostPid } from "../sys/ids.ts";
import { readFile } from "../sys/read.ts";
import { HistoryTable, historyBytes } from "./history.ts";
import { Host } from "./host.ts";
import { Machine, type MachineSettings } from "./machine.ts";

/** Stands still unless it is told to go on. */
export class FakeClock implements Clock {
  /** Since boot; realtime and monotonic time go along. */
  seconds: number;

  constructor(seconds = 1000) {
    this.seconds = seconds;
  }

  boottimeNs(): number {
    return this.seconds * 1e9;
  }

  monotonicMs(): number {
    return this.seconds * 1000;
  }

  realtimeSeconds(): number {
    return 1_700_000_000 + this.seconds;
  }
}

export const SETTINGS: MachineSettings = {
  cpuPolicy: "cpuset",
  hostUptime: false,
  loadavg: true,
  showSwap: true,
  showZswap: true,
};

export function historyTable(slots = 8, cpus = 4): HistoryTable {
  return new HistoryTable(new ArrayBuffer(historyBytes(slots, cpus)), 0, slots, cpus);
}

/** A captured machine with the container that was captured in it. */
export class CapturedMachine {
  readonly fixture: Fixture;
  readonly clock: FakeClock;
  readonly host: Host;
  readonly container: Container;
  readonly machine: Machine;
  /** What all threads of a server share. */
  readonly history: HistoryTable = historyTable(8, 1024);

  constructor(name: string, settings: Partial<MachineSettings> = {}) {
    this.fixture = unpackFixture(name);
    const { proc, sys, init, paths } = this.fixture;
    this.clock = new FakeClock(parseUptime(readFile(`${proc}/uptime`)).upSeconds);
    this.host = new Host(proc, sys);
    this.container = this.open(paths, init as HostPid);
    this.machine = new Machine(
      this.container,
      this.host,
      this.clock,
      { ...SETTINGS, ...settings },
      this.history,
    );
  }

  open(paths: CgroupPaths, init?: HostPid): Container {
    const { layout, root, proc } = this.fixture;
    const cgroups = openContainerCgroups(layout, paths, { root });
    return new Container(4711 as ContainerKey, cgroups, undefined, proc, init);
  }

  remove(): void {
    this.container.close();
    this.host.close();
    this.fixture.remove();
  }
}
