/**
 * /proc/stat (Documentation/filesystems/proc.rst, section 1.7), times in ticks of 10 ms:
 *
 *     cpu  user nice system idle iowait irq softirq steal guest guest_nice
 *     cpu0 ...
 *     intr total ...
 *     ctxt, btime, processes, procs_running, procs_blocked
 *     softirq total ...
 *
 * The cpu rows, the process counts and btime are the container's. Interrupts and context switches
 * are served by the host's CPUs for all containers alike, and no cgroup counts them: these lines are
 * the host's, but for the columns of single interrupts, which tell of its devices.
 */
import type { CpuRow } from "../../machine/cpu_time.ts";
import type { View } from "../view.ts";

const US_PER_TICK = 10_000;

export const stat: View = {
  path: "proc/stat",
  local: 33,
  mode: 0o444,
  render(machine) {
    const rows = machine.cpuRows();
    if (rows === undefined) return undefined;
    const load = machine.load();
    const host = machine.host.stat();
    const sum = { user: 0, nice: 0, system: 0, idle: 0 };
    let cpus = "";
    for (const [number, row] of rows.entries()) {
      const ticks = toTicks(row);
      sum.user += ticks.user;
      sum.nice += ticks.nice;
      sum.system += ticks.system;
      sum.idle += ticks.idle;
      cpus += `cpu${number} ${columns(ticks)}`;
    }
    return (
      `cpu  ${columns(sum)}${cpus}intr ${host.interrupts}\n` +
      `ctxt ${host.contextSwitches}\nbtime ${machine.bootSeconds()}\nprocesses ${load.lastPid}\n` +
      // Whoever reads this is running, though it waits for the answer while its threads are counted.
      `procs_running ${load.running + 1}\nprocs_blocked ${load.blocked}\nsoftirq ${host.softirqs.join(" ")}\n`
    );
  },
};

interface Ticks {
  user: number;
  nice: number;
  system: number;
  idle: number;
}

function toTicks(row: CpuRow): Ticks {
  return {
    user: Math.floor(row.userUs / US_PER_TICK),
    nice: Math.floor(row.niceUs / US_PER_TICK),
    system: Math.floor(row.systemUs / US_PER_TICK),
    idle: Math.floor(row.idleUs / US_PER_TICK),
  };
}

/** No cgroup is told of waiting for devices, interrupts or guests: these columns are 0. */
function columns(ticks: Ticks): string {
  return `${ticks.user} ${ticks.nice} ${ticks.system} ${ticks.idle} 0 0 0 0 0 0\n`;
}
