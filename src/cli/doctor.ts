/**
 * `lxcfs doctor [--json]`: what is wrong on this host, and how to mend it. Exit code 0: nothing, 1:
 * warnings (some containers see wrong values), 2: errors (nothing is served).
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { liveness, lxcfsMountpoints, mountpointPath } from "../daemon/mountpoint.ts";
import { exitCodeOf, findingsText } from "../explain/doctor/finding.ts";
import { hostChecks } from "../explain/doctor/host_checks.ts";
import { mountChecks, type MountState } from "../explain/doctor/mount_checks.ts";
import { Containers } from "../explain/subject.ts";
import { printable, survey } from "../explain/survey.ts";
import { exitNow } from "../sys/native.ts";
import { command } from "./attach_common.ts";
import { SERVER_OPTIONS, statusOrNone } from "./explain_common.ts";

export function run(args: readonly string[]): Promise<number> {
  return command("doctor", async () => {
    const { values } = parseArgs({ args: [...args], options: SERVER_OPTIONS });
    const runtimeDir = resolve(values["runtime-dir"]);
    const paths =
      values.mountpoint === undefined
        ? [...new Set(lxcfsMountpoints())]
        : [mountpointPath(values.mountpoint)];
    const states = await Promise.all(paths.map((path) => stateOf(path, runtimeDir)));
    const containers = new Containers();
    const rows = survey(containers);
    containers.close();
    const findings = [
      ...hostChecks({ proc: "/proc", root: "" }),
      ...mountChecks(states, rows, "/proc"),
    ];
    const exitCode = exitCodeOf(findings);
    const text = values.json
      ? `${JSON.stringify({ exitCode, findings }, null, 2)}\n`
      : printableLines(findingsText(findings));
    await new Promise((done) => process.stdout.write(text, done));
    // A thread that waits for a filesystem that hangs would hold the end of the process too.
    if (states.some(({ state }) => state === "hung")) exitNow(exitCode);
    return exitCode;
  });
}

function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/** Whether one mountpoint is served, and by whom. */
export async function stateOf(mountPoint: string, runtimeDir: string): Promise<MountState> {
  const served = lxcfsMountpoints().includes(mountPoint);
  const state = served ? await liveness(mountPoint) : "dead";
  const status = state === "answers" ? await statusOrNone(mountPoint, runtimeDir) : undefined;
  return {
    mountPoint,
    state,
    version: status?.version,
    hostView: status?.hostView === true,
    upgradeError: status?.upgradeError ?? "",
    ours: state === "answers" && existsSync(`${mountPoint}/containers`),
  };
}
