/** What `bin/lxcfs` runs: a subcommand if the first argument names one, else the mount. */
import { SystemError } from "../sys/errno.ts";
import { parseMountCommand, UsageError } from "./options.ts";
import { SUBCOMMANDS } from "./subcommands.ts";

/** @returns the exit code; a mount that succeeds does not return, it becomes the holder */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const subcommand = SUBCOMMANDS.find((known) => known.name === args[0]);
    if (subcommand) return await (await subcommand.load()).run(args.slice(1));
    const command = parseMountCommand(args);
    if (command.kind === "help") {
      process.stdout.write((await import("./help.ts")).helpText());
      // LXCFS's own code for its help.
      return 1;
    }
    if (command.kind === "version") {
      process.stdout.write(`"${(await import("./version.ts")).version()}"\n`);
      return 0;
    }
    return await (await import("./mount.ts")).run(command);
  } catch (error) {
    complain(error);
    return 1;
  }
}

/** One line for what a user can mend; the whole stack for what only a developer can. */
function complain(error: unknown): void {
  const known = error instanceof UsageError || error instanceof SystemError || isExpected(error);
  const text = error instanceof Error ? (known ? error.message : error.stack) : String(error);
  process.stderr.write(`lxcfs: ${text ?? ""}\n`);
}

/** Errors of the system, and those that say of themselves that they are for the user. */
function isExpected(error: unknown): boolean {
  return error instanceof Error && ("code" in error || error.message.startsWith("Cannot "));
}
