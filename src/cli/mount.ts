/** `lxcfs [OPTIONS] MOUNTPOINT`: from the command line to a running mount. */
import { start } from "../daemon/front.ts";
import type { MountCommand } from "./options.ts";

/** Does not return if the mount succeeds: the process becomes its holder. */
export function run(command: MountCommand): Promise<never> {
  return start({
    mountpoint: command.mountpoint,
    mountOptions: command.mountOptions,
    runtimeDir: command.runtimeDir,
    pidfile: command.pidfile,
    view: {
      cpuPolicy: command.cpuPolicy,
      uptime: command.uptime,
      loadavg: true,
      swap: command.swap,
      zswap: command.zswap,
      cgroupTree: command.cgroupTree,
      psiPoll: command.psiPoll,
      freshnessMs: command.freshnessMs,
    },
    workers: command.workers,
    metrics: command.metrics,
    logLevel: command.logLevel,
    deadlineMs: command.deadlineMs,
  });
}
