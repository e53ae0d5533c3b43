/**
 * CPU time and bandwidth of a cgroup v1, Documentation/admin-guide/cgroup-v1/cpuacct.rst and
 * Documentation/scheduler/sched-bwc.rst:
 *
 *     cpu.cfs_quota_us      -1               microseconds a period, -1 for none
 *     cpu.cfs_period_us     100000
 *     cpuacct.usage_percpu  23556530971 37428975181        nanoseconds, by CPU number
 *     cpuacct.usage_all     cpu user system
 *                           0 12216866947 9149749269       nanoseconds
 *                           1 21768684877 13666928041
 *
 * Both cpuacct files count the cgroups below, too. They disagree: usage_percpu is what the
 * scheduler measured, usage_all what was found at timer ticks, up to a tenth less in busy minutes
 * of short runs. So the first says how much, the second in which proportion user and system; that
 * is how the kernel itself makes `cpuacct.stat` and a process's times (cputime_adjust()).
 */
import type { HeldFile } from "../../sys/held_file.ts";
import { cgroupFile } from "../cgroup_file.ts";
import { Scanner } from "../../host/scanner.ts";
import { type Bandwidth, bandwidth, NO_BANDWIDTH, tightest } from "../quota.ts";
import type { CpuQuota, CpuTimes } from "../types.ts";

/** Nanoseconds by CPU number: CPUs that never were are missing. */
export type UserSystemNs = ReadonlyMap<
  number,
  { readonly userNs: number; readonly systemNs: number }
>;

/** Bandwidth of one cgroup and its ancestors. */
export class CpuQuotaV1 {
  readonly #levels: readonly { readonly quota: HeldFile; readonly period: HeldFile }[];

  /** @param levels directories in the hierarchy of `cpu`, the cgroup's own first */
  constructor(levels: readonly string[]) {
    this.#levels = levels.map((level) => ({
      quota: cgroupFile(`${level}/cpu.cfs_quota_us`),
      period: cgroupFile(`${level}/cpu.cfs_period_us`),
    }));
  }

  read(): CpuQuota {
    return tightest(this.#levels.map(readLevel));
  }

  close(): void {
    for (const { quota, period } of this.#levels) {
      quota.close();
      period.close();
    }
  }
}

function readLevel({ quota, period }: { quota: HeldFile; period: HeldFile }): Bandwidth {
  const quotaUs = Number.parseInt(quota.read() ?? "", 10);
  // Most levels have none: spare their period.
  if (!(quotaUs > 0)) return NO_BANDWIDTH;
  return bandwidth(quotaUs, Number.parseInt(period.read() ?? "", 10), quota.path);
}

/** CPU time of one cgroup and all below it. */
export class CpuTimesV1 {
  readonly #usagePercpu: HeldFile;
  readonly #usageAll: HeldFile;
  #last = new Map<number, { userUs: number; systemUs: number }>();

  /** @param directory the cgroup's in the hierarchy of `cpuacct` */
  constructor(directory: string) {
    this.#usagePercpu = cgroupFile(`${directory}/cpuacct.usage_percpu`);
    this.#usageAll = cgroupFile(`${directory}/cpuacct.usage_all`);
  }

  /** `undefined` if the cgroup is gone. */
  read(): CpuTimes | undefined {
    const percpuText = this.#usagePercpu.read();
    if (percpuText === undefined) return undefined;
    const usageNs = new Scanner("cpuacct.usage_percpu", percpuText).numbers();
    const split = parseUsageAll(this.#usageAll.read() ?? "");
    const perCpu = new Map<number, { userUs: number; systemUs: number }>();
    let userUs = 0;
    let systemUs = 0;
    usageNs.forEach((ns, cpu) => {
      const share = split.get(cpu);
      const times = divide(Math.floor(ns / 1000), share, this.#last.get(cpu));
      perCpu.set(cpu, times);
      userUs += times.userUs;
      systemUs += times.systemUs;
    });
    this.#last = perCpu;
    return { usageUs: userUs + systemUs, userUs, systemUs, niceUs: 0, perCpu };
  }

  close(): void {
    this.#usagePercpu.close();
    this.#usageAll.close();
  }
}

/**
 * Divides a CPU's time by the proportion that ticks found. As the proportion moves, one of the two
 * could go back: it stays where it was, as in cputime_adjust(), and the other takes what was used since.
 */
function divide(
  usageUs: number,
  share: { readonly userNs: number; readonly systemNs: number } | undefined,
  last: { readonly userUs: number; readonly systemUs: number } | undefined,
): { userUs: number; systemUs: number } {
  const ticksNs = share ? share.userNs + share.systemNs : 0;
  let systemUs = share && ticksNs > 0 ? Math.floor(usageUs * (share.systemNs / ticksNs)) : 0;
  if (last && usageUs >= last.userUs + last.systemUs) {
    systemUs = Math.min(Math.max(systemUs, last.systemUs), usageUs - last.userUs);
  }
  return { userUs: usageUs - systemUs, systemUs };
}

/** Lines that are not three numbers (the header) are passed over. */
export function parseUsageAll(text: string): UserSystemNs {
  const scanner = new Scanner("cpuacct.usage_all", text);
  const byCpu = new Map<number, { userNs: number; systemNs: number }>();
  while (!scanner.atEnd()) {
    const cpu = scanner.number();
    const userNs = scanner.number();
    const systemNs = scanner.number();
    if (systemNs >= 0) byCpu.set(cpu, { userNs, systemNs });
    scanner.nextLine();
  }
  return byCpu;
}
