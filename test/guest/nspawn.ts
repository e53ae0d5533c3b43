/** systemd-nspawn containers that boot systemd. */
import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { classicBinds } from "../support/container.ts";
import { guardWith } from "../support/guard.ts";
import { run, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";
import { START_MS } from "./guest.ts";
import { booted, type RunningContainer, throwAwayRoot } from "./systemd_container.ts";

export interface NspawnOptions {
  readonly name: string;
  /** Unit properties of its scope, such as `MemoryMax=256M`. */
  readonly properties: readonly string[];
  readonly mountpoint: string;
}

/** Starts a container and waits until its systemd has booted. */
export async function startNspawn(options: NspawnOptions): Promise<RunningContainer> {
  const { name, mountpoint } = options;
  const root = throwAwayRoot();
  const log = join(tmpdir(), `lxcfs-nspawn-${name}.log`);
  const undo = guardWith(`machinectl kill -s KILL ${name}\nrm -f '${log}'`);
  const stop = () => {
    undo.run();
    root.remove();
  };
  // What goes below /proc is bound after nspawn has entered the container's root: its source must be
  // there too, at the same path. What goes below /sys it hides under a sysfs of its own.
  const binds = [`--bind-ro=${mountpoint}`];
  for (const [inside, source] of classicBinds(mountpoint)) {
    if (inside.startsWith("/proc/")) binds.push(`--bind-ro=${source}:${inside}`);
  }
  const output = openSync(log, "w");
  const quiet = ["--quiet", "--boot", "--private-network", "--console=passive"];
  const properties = options.properties.map((property) => `--property=${property}`);
  const argv = [...quiet, "-M", name, "-D", root.path, ...properties, ...binds];
  const nspawn = spawn("systemd-nspawn", argv, { stdio: ["ignore", output, output] });
  try {
    const leader = await waitFor(
      `machined knows ${name}`,
      () => {
        if (nspawn.exitCode !== null) throw new Error(`nspawn ended: ${readFileSync(log, "utf8")}`);
        const shown = tryRun(["machinectl", "show", name, "-p", "Leader", "--value"]);
        return shown.status === 0 && Number(shown.stdout);
      },
      START_MS,
      200,
    );
    const enter = ["nsenter", "-t", String(leader), "-a", "--"];
    await booted(name, enter);
    return { name, initPid: leader, stop, exec: (argv) => run([...enter, ...argv]) };
  } catch (error) {
    stop();
    throw error;
  }
}
