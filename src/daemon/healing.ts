/**
 * After a start that found a dead mount: containers that still have files of it are given living
 * ones, by `lxcfs heal` in a process of its own, since entering mount namespaces is not the server's
 * business.
 */
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import type { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import type { HostNamespace } from "./host_namespace.ts";
import type { SharedState } from "./state.ts";

/** Far more than a pass takes: a second for a hundred containers. */
const LIMIT_MS = 120_000;
/** Some kilobytes for each container; with what Node.js grants, a report of three hundred would be cut. */
const MAX_REPORT_BYTES = 64 << 20;

/** What is read of `lxcfs heal --json`. */
interface Report {
  readonly outcomes: readonly { readonly steps: readonly { readonly did: string }[] }[];
}

export function healContainers(
  config: DaemonConfig,
  state: SharedState,
  host: HostNamespace,
  log: Logger,
): void {
  const program = resolve(process.argv[1] ?? "");
  const argv = [program, "heal", "--json", "--mountpoint", config.mountpoint];
  const done = (error: Error | null, stdout: string): void => {
    const healed = countReplaced(stdout);
    if (healed > 0) state.add("mountsHealed", healed);
    if (error === null) log.info("dead mounts in containers were replaced", { healed });
    else log.warn("not all containers could be healed", { healed, cause: error.message });
  };
  const options = { timeout: LIMIT_MS, maxBuffer: MAX_REPORT_BYTES };
  host.inside(() => execFile(process.execPath, argv, options, done));
}

function countReplaced(text: string): number {
  try {
    const { outcomes } = JSON.parse(text) as Report;
    return outcomes.flatMap(({ steps }) => steps).filter(({ did }) => did === "replaced").length;
  } catch {
    return 0;
  }
}
