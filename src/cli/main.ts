/** What `bin/lxcfs` runs: a subcommand if the first argument names one, else the mount. */
import { parseMountCommand } from "./options.ts";
import { SUBCOMMANDS } from "./subcommands.ts";

/** @returns the exit code; a mount that succeeds does not return, it becomes the holder */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const subcommand = SUBCOMMANDS.find((known) => known.name === args[0]);
    if (subcommand) {
      if (subcommand.options !== undefined && args.includes("--help")) {
        process.stdout.write((await import("./help.ts")).commandHelpText(subcommand));
        return 0;
      }
      return await (await subcommand.load()).run(args.slice(1));
    }
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
  const text =
    error instanceof Error ? (isExpected(error) ? error.message : error.stack) : String(error);
  process.stderr.write(`lxcfs: ${text ?? ""}\n`);
}

/** Errors of the system and of usage, which have codes, and those that begin as ours for users do. */
function isExpected(error: unknown): boolean {
  return error instanceof Error && ("code" in error || error.message.startsWith("Cannot "));
}
