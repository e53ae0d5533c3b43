/** The help text, made from the tables of options and subcommands. */
import { OPTIONS } from "./options.ts";
import { type Subcommand, SUBCOMMANDS } from "./subcommands.ts";

export function helpText(): string {
  const options = OPTIONS.map(({ short, name, value, help }): [string, string] => [
    `${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`,
    help,
  ]);
  const commands = SUBCOMMANDS.filter((command) => !command.internal).map(
    ({ name, usage, help }): [string, string] => [`lxcfs ${name} ${usage}`.trimEnd(), help],
  );
  return [
    "Usage: lxcfs [OPTIONS] MOUNTPOINT",
    "",
    "Serves a filesystem from which containers read their own /proc and /sys.",
    "",
    "Options:",
    ...columns(options),
    "",
    "Other commands:",
    ...columns(commands),
    "",
    "Signals: TERM, INT and HUP unmount and end; USR1 upgrades in place; USR2 shows every container",
    "the host's values, and again its own.",
    "",
  ].join("\n");
}

/** Help of one subcommand. */
export function commandHelpText({ name, usage, help, options = [] }: Subcommand): string {
  const rows = options.map(({ name: option, value, help: what }): [string, string] => [
    `--${option}${value === undefined ? "" : ` ${value}`}`,
    what,
  ]);
  const sentence = `${help[0]?.toUpperCase()}${help.slice(1)}.`;
  const list = rows.length === 0 ? [] : ["Options:", ...columns(rows), ""];
  return [`Usage: lxcfs ${name} ${usage}`.trimEnd(), "", sentence, "", ...list].join("\n");
}

/** The right column is on the next line where the left one is too wide for it. */
const LEFT_WIDTH = 30;

function columns(rows: readonly [string, string][]): string[] {
  return rows.map(([left, right]) =>
    left.length > LEFT_WIDTH
      ? `  ${left}\n  ${" ".repeat(LEFT_WIDTH)}  ${right}`
      : `  ${left.padEnd(LEFT_WIDTH)}  ${right}`,
  );
}
