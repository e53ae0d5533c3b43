/**
 * The demonstration: a filesystem on a temporary directory, a container of its own limited to
 * 256 MiB and one CPU, and what the usual tools say inside it beside what they say on the host.
 * Leaves nothing, also after Ctrl-C or a failure.
 */
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../test/support/container.ts";
import { installed, type Result, run, tryRun } from "../test/support/run.ts";
import { Server } from "../test/support/server.ts";

const MEMORY_BYTES = 256 << 20;
const QUOTA_US = 100_000;

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** In which a signal that was sent to us and to a program we run is heard. */
const SIGNAL_MS = 100;

/** What is shown: a heading and a shell command. */
const SHOWN: readonly (readonly [string, string])[] = [
  ["free -m", "free -m"],
  [
    "CPUs online, and processors in /proc/cpuinfo",
    "cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo",
  ],
  ["uptime", "uptime"],
  ["cat /proc/loadavg", "cat /proc/loadavg"],
  ["top -b -n1", "top -b -n1 -w 80 | head -n 12"],
];

async function demo(): Promise<void> {
  if (!installed("free") || !installed("top")) installProcps();
  let server: Server | undefined;
  let container: Container | undefined;
  const clean = (): void => {
    container?.stop();
    server?.kill();
  };
  for (const signal of SIGNALS) {
    process.once(signal, () => {
      clean();
      process.exit(128 + constants.signals[signal]);
    });
  }
  try {
    server = await Server.start({ args: ["--enable-cfs"] });
    container = await Container.start({
      limits: { memoryBytes: MEMORY_BYTES, cpuQuotaUs: QUOTA_US, cpuPeriodUs: QUOTA_US },
      mountpoint: server.mountpoint,
    });
    console.log(`Mounted on ${server.mountpoint}; a container with 256 MiB and 1 CPU runs.\n`);
    // So that the container has an uptime worth showing.
    await sleep(2000);
    for (const [heading, command] of SHOWN) {
      const shell = ["sh", "-c", command];
      const inside = said(`${command}, in the container,`, container.tryExec(shell));
      const outside = said(`${command}, on the host,`, tryRun(shell));
      console.log(compare(heading, inside, outside));
    }
    container.stop();
    await server.stop();
    console.log("The container and the mount are gone again.");
  } catch (error) {
    // Ctrl-C also ends whatever program was being run, and that is noticed first.
    await sleep(SIGNAL_MS);
    throw error;
  } finally {
    clean();
  }
}

function said(what: string, { status, stdout, stderr }: Result): string {
  if (status !== 0) throw new Error(`${what} ended with ${status}: ${stderr.trim()}`);
  return stdout;
}

/** Side by side where the terminal is wide enough, else one below the other. */
function compare(heading: string, inside: string, outside: string): string {
  const left = ["--- in the container", ...inside.trimEnd().split("\n")];
  const right = ["--- on the host", ...outside.trimEnd().split("\n")];
  const width = Math.max(...left.map((line) => line.length)) + 4;
  const needed = width + Math.max(...right.map((line) => line.length));
  const title = `== ${heading}`;
  if (needed > (process.stdout.columns ?? 80)) return [title, ...left, ...right, ""].join("\n");
  const rows = Array.from({ length: Math.max(left.length, right.length) }, (_, row) =>
    `${(left[row] ?? "").padEnd(width)}${right[row] ?? ""}`.trimEnd(),
  );
  return [title, ...rows, ""].join("\n");
}

function installProcps(): void {
  console.error("Installing procps, which has free and top");
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  tryRun(["apt-get", "update", "-qq"], { timeoutMs: 120_000, environment });
  run(["apt-get", "install", "-y", "-qq", "procps"], { timeoutMs: 120_000, environment });
}

try {
  if (process.getuid?.() !== 0)
    throw new Error("it mounts a filesystem and makes cgroups: run it as root");
  await demo();
} catch (error) {
  console.error(
    `Cannot show the demonstration: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
}
