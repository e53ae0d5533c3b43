/** Runs one command in a fresh machine. See run.sh. */
import { parseArgs } from "node:util";
import { machineFlags, machineFlagsHelp, machineOptions } from "./options.ts";
import { BENCH_FAILED, isUnavailable, SKIPPED, withMachine } from "./session.ts";

const usage = `usage: test/vm/run.sh [OPTION]... -- COMMAND [ARGUMENT]...
Boots a machine, runs COMMAND in it as root, and ends with its exit status.
${machineFlagsHelp}
  --cwd DIR, --env NAME=VALUE, --timeout SECONDS   of the command
Exit status: COMMAND's; ${SKIPPED} no machine can be had here; 124 timeout; ${BENCH_FAILED} the bench failed.`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      ...machineFlags,
      cwd: { type: "string" },
      env: { type: "string", multiple: true, default: [] },
      timeout: { type: "string" },
    },
    allowPositionals: true,
  });
  if (values.help || positionals.length === 0) {
    console.error(usage);
    return values.help ? 0 : BENCH_FAILED;
  }
  const env = Object.fromEntries(
    values.env.map((pair) => {
      const [name = "", ...value] = pair.split("=");
      return [name, value.join("=")];
    }),
  );
  const status = await withMachine(machineOptions(values), (machine) =>
    machine.job(positionals, {
      env,
      ...(values.cwd === undefined ? {} : { cwd: values.cwd }),
      ...(values.timeout === undefined ? {} : { timeoutMs: Number(values.timeout) * 1000 }),
    }),
  );
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
