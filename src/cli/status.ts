/** `lxcfs status [MOUNTPOINT] [--json]` */
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import type { Status } from "../daemon/status.ts";
import { command } from "./attach_common.ts";
import { findStatus } from "./mounts.ts";

export function run(args: readonly string[]): Promise<number> {
  return command("status", async () => await status(args));
}

async function status(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { json: { type: "boolean" }, "runtime-dir": { type: "string", default: "/run" } },
    allowPositionals: true,
  });
  const status = await findStatus(positionals[0], resolve(values["runtime-dir"]));
  process.stdout.write(values.json ? `${JSON.stringify(status, null, 2)}\n` : describe(status));
  return 0;
}

/** The same for people. */
function describe(status: Status): string {
  const facts: [string, string | number][] = [
    ["mountpoint", status.mountpoint],
    ["version", status.version],
    ["holder", status.holderPid],
    ["server", status.serverPid],
    ["workers", status.workers],
    ["protocol", status.protocol],
    ["started", status.startTime],
    ["view", status.hostView ? "host (SIGUSR2)" : "containers"],
    ["restarts", status.restarts],
    ["upgrades", status.upgrades],
    ["late answers", status.deadlineMisses],
  ];
  if (status.upgradeError !== "") facts.push(["last upgrade", status.upgradeError]);
  const lines = facts.map(([name, value]) => `${name.padEnd(14)}${value}`);
  const files = Object.entries(status.requests).sort(([a], [b]) => (a < b ? -1 : 1));
  if (files.length > 0) lines.push("", "requests              ok     error  expected      late");
  for (const [file, counts] of files) {
    const numbers = [counts.ok, counts.error, counts.expected, counts.late];
    lines.push(file.padEnd(16) + numbers.map((n) => String(n).padStart(8)).join("  "));
  }
  return `${lines.join("\n")}\n`;
}
