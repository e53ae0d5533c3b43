/** An interactive shell in a fresh machine. See shell.sh. */
import { parseArgs } from "node:util";
import type { Machine } from "./machine.ts";
import { machineFlags, machineFlagsHelp, machineOptions } from "./options.ts";
import { GUEST_PROJECT } from "./project.ts";
import { BENCH_FAILED, isUnavailable, SKIPPED, withMachine } from "./session.ts";

const usage = `usage: test/vm/shell.sh [OPTION]...
Boots a machine and gives a shell in it; the machine ends with the shell.
${machineFlagsHelp}`;

/** Ties this terminal to the guest's console for the time of a shell there. */
async function shell(machine: Machine): Promise<number> {
  const terminal = machine.terminal;
  if (terminal === undefined) throw new Error("The machine has no terminal");
  const { stdin, stdout } = process;
  terminal.on("error", () => {});
  terminal.pipe(stdout);
  stdin.pipe(terminal);
  if (stdin.isTTY) stdin.setRawMode(true);
  try {
    const size = stdout.isTTY
      ? `rows ${stdout.rows} columns ${stdout.columns}`
      : "rows 24 columns 80";
    return await machine.job(
      [
        "sh",
        "-c",
        `exec setsid -c -w sh -c 'stty sane ${size}; exec bash -l' <> /dev/hvc0 >&0 2>&0`,
      ],
      { cwd: GUEST_PROJECT, env: { TERM: process.env["TERM"] ?? "linux" } },
    );
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.unpipe(terminal).destroy();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: machineFlags });
  if (values.help) {
    console.error(usage);
    return 0;
  }
  const status = await withMachine({ ...machineOptions(values), terminal: true }, shell);
  if (!isUnavailable(status)) return status;
  console.error(`vm: ${status.unavailable}`);
  return SKIPPED;
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    console.error(`vm: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = BENCH_FAILED;
  },
);
