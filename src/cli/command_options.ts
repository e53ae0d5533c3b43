/** Options of the subcommands, as help, man page and completions show them. */

export interface CommandOption {
  readonly name: string;
  /** What its value is called; without it, it takes none. */
  readonly value?: string;
  readonly help: string;
}

export const JSON_OUTPUT: CommandOption = { name: "json", help: "for programs: JSON on stdout" };
export const MOUNTPOINT: CommandOption = {
  ...{ name: "mountpoint", value: "DIR" },
  help: "which lxcfs, where more than one is mounted",
};
export const RUNTIME_DIR: CommandOption = {
  ...{ name: "runtime-dir", value: "DIR" },
  help: "as the server was started with (/run)",
};
export const PID: CommandOption = { name: "pid", value: "PID", help: "the process that reads" };
export const CONTAINER: CommandOption = {
  ...{ name: "container", value: "NAME" },
  help: "the first process of the container of that name or id",
};
export const ALL: CommandOption = { name: "all", help: "all containers that run" };
export const DRY_RUN: CommandOption = { name: "dry-run", help: "only say what would be done" };
export const TIMEOUT: CommandOption = {
  ...{ name: "timeout", value: "SECONDS" },
  help: "how long one container may take (5)",
};
export const WATCH: CommandOption = { name: "watch", help: "keep doing it" };
export const EVERY: CommandOption = {
  ...{ name: "every", value: "SECONDS" },
  help: "with --watch: how often all namespaces are looked at (30)",
};
export const REMOVE: CommandOption = {
  name: "remove",
  help: "take dead mounts away, without a server",
};
export const INTERVAL: CommandOption = {
  ...{ name: "interval", value: "SECONDS" },
  help: "between two screens (2)",
};
export const NO_COLOR: CommandOption = { name: "no-color", help: "no colour, as NO_COLOR says" };
