/**
 * CPU time and bandwidth of a cgroup v2, Documentation/admin-guide/cgroup-v2.rst:
 *
 *     cpu.max    50000 100000          quota ("max" for none) and period, microseconds
 *     cpu.stat   usage_usec 111775162
 *                user_usec 72044445
 *                system_usec 39730717
 *                nice_usec 14691713    since 6.11
 *
 * The three usage lines are there without the controller, too, and in hybrid layouts; the root
 * cgroup has no cpu.max.
 */
import type { HeldFile } from "../../sys/held_file.ts";
import { cgroupFile } from "../cgroup_file.ts";
import { type KeyedNumbers, parseKeyedNumbers } from "../../host/keyed_numbers.ts";
import { type Bandwidth, bandwidth, NO_BANDWIDTH, tightest } from "../quota.ts";
import type { CpuQuota, CpuTimes } from "../types.ts";

/** Bandwidth of one cgroup and its ancestors. */
export class CpuQuotaV2 {
  readonly #levels: readonly HeldFile[];

  /** @param levels directories, the cgroup's own first */
  constructor(levels: readonly string[]) {
    this.#levels = levels.map((level) => cgroupFile(`${level}/cpu.max`));
  }

  read(): CpuQuota {
    return tightest(this.#levels.map((file) => parseCpuMax(file.read() ?? "", file.path)));
  }

  close(): void {
    for (const file of this.#levels) file.close();
  }
}

/** CPU time of one cgroup and all below it. */
export class CpuTimesV2 {
  readonly #stat: HeldFile;
  #table: KeyedNumbers | undefined;

  /** @param directory the cgroup's own */
  constructor(directory: string) {
    this.#stat = cgroupFile(`${directory}/cpu.stat`);
  }

  /** `undefined` if the cgroup is gone. */
  read(): CpuTimes | undefined {
    const text = this.#stat.read();
    if (text === undefined) return undefined;
    const table = parseKeyedNumbers(text, this.#table);
    this.#table = table;
    const usageUs = table.get("usage_usec");
    if (usageUs === undefined) return undefined;
    return {
      usageUs,
      userUs: table.get("user_usec") ?? usageUs,
      systemUs: table.get("system_usec") ?? 0,
      niceUs: table.get("nice_usec") ?? 0,
      perCpu: undefined,
    };
  }

  close(): void {
    this.#stat.close();
  }
}

/** One level's cpu.max; anything malformed is no limit. */
export function parseCpuMax(text: string, file: string): Bandwidth {
  const [quota = "", period = "100000"] = text.trim().split(" ");
  if (quota === "" || quota === "max") return NO_BANDWIDTH;
  return bandwidth(Number(quota), Number(period), file);
}
