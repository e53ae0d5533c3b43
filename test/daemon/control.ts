/** Asks the server under test, through the command itself. */
import { join } from "node:path";
import type { Status } from "../../src/daemon/status.ts";
import { lxcfsCommand } from "../support/project.ts";
import { run, tryRun } from "../support/run.ts";
import type { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";

/** `lxcfs status --json`. */
export function statusOf(server: Server): Status {
  const runtimeDir = join(server.directory, "run");
  return JSON.parse(
    run([lxcfsCommand, "status", server.mountpoint, "--json", "--runtime-dir", runtimeDir]),
  ) as Status;
}

/** Waits until the status is as wanted; a server that changes may not answer for a moment. */
export function statusWhen(
  server: Server,
  what: string,
  wanted: (status: Status) => boolean,
): Promise<Status> {
  const runtimeDir = join(server.directory, "run");
  return waitFor(
    what,
    () => {
      const { status, stdout } = tryRun([
        lxcfsCommand,
        "status",
        server.mountpoint,
        "--json",
        "--runtime-dir",
        runtimeDir,
      ]);
      if (status !== 0) return undefined;
      const found = JSON.parse(stdout) as Status;
      return wanted(found) ? found : undefined;
    },
    15_000,
    50,
  );
}

/** What the page that is served at `socket` (`--metrics`) says of a metric without labels; NaN if nothing. */
export function metricAt(socket: string, name: string): number {
  const { stdout } = tryRun(["curl", "-s", "--unix-socket", socket, "http://lxcfs/metrics"]);
  return Number(new RegExp(`^lxcfs_${name} (\\S+)$`, "m").exec(stdout)?.[1] ?? Number.NaN);
}
