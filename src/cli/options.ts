/**
 * The command line of `lxcfs [OPTIONS] MOUNTPOINT`: one table from which options are parsed and help
 * is written. It accepts every option of LXCFS 5, 6 and 7 and adds its own.
 */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { CPU_POLICIES, type CpuPolicy, UPTIMES, type UptimeOf } from "../daemon/config.ts";
import { parseListenAddress } from "../daemon/listen.ts";
import type { LogLevel } from "../sys/log.ts";

/** The command line is wrong: the message says how, exit code 1. */
export class UsageError extends Error {
  /** By this, not by its class, it is known: each subcommand may be bundled with a class of its own. */
  readonly code = "USAGE";

  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

interface Option {
  readonly name: string;
  readonly short?: string;
  /** What the value is called in the help; none: a flag. */
  readonly value?: string;
  /** May be given several times; all count. Of any other option the last one does. */
  readonly multiple?: boolean;
  readonly help: string;
}

/** Every option. Those that LXCFS has come first, in its order. */
export const OPTIONS: readonly Option[] = [
  { name: "debug", short: "d", help: "log every request; stays in the foreground" },
  { name: "foreground", short: "f", help: "stay in the foreground (always so)" },
  { name: "help", short: "h", help: "print this help" },
  { name: "enable-loadavg", short: "l", help: "containers see their own load average (always so)" },
  {
    name: "options",
    short: "o",
    value: "OPTIONS",
    multiple: true,
    help: "mount options, separated by commas",
  },
  { name: "pidfile", short: "p", value: "FILE", help: "pidfile (default RUNTIME-DIR/lxcfs.pid)" },
  { name: "single-threaded", short: "s", help: "accepted for compatibility" },
  { name: "disable-swap", short: "u", help: "containers see no swap" },
  { name: "version", short: "v", help: "print the version" },
  { name: "disable-zswap", help: "containers see no zswap" },
  { name: "enable-cfs", help: "show as many CPUs as the CPU quota pays for (--cpu-policy quota)" },
  { name: "enable-pidfd", help: "accepted for compatibility (always so)" },
  { name: "enable-cgroup", help: "serve the container's own cgroup tree in MOUNTPOINT/cgroup" },
  { name: "enable-psi-poll", help: "let containers arm triggers on their pressure files" },
  { name: "runtime-dir", value: "DIR", help: "directory of pidfile and sockets (default /run)" },
  { name: "cpu-policy", value: "POLICY", help: "CPUs shown: cpuset (default), quota or none" },
  { name: "uptime", value: "WHOSE", help: "uptime shown: container (default), or host, for ps" },
  {
    name: "freshness",
    value: "MS",
    help: "how old an answer may be, milliseconds (default 10; 0: never)",
  },
  { name: "metrics", value: "ADDRESS", help: "serve metrics on HOST:PORT or on a socket /PATH" },
  { name: "workers", value: "N", help: "serving threads (default: by cores, 2 to 3)" },
  { name: "deadline", value: "MS", help: "answer a stuck read after so long (default 2000)" },
  { name: "log-level", value: "LEVEL", help: "debug, info (default), warn or error" },
];

/** What the command line asked for. */
export interface MountCommand {
  readonly mountpoint: string;
  readonly mountOptions: string;
  readonly pidfile: string | undefined;
  readonly runtimeDir: string;
  readonly cpuPolicy: CpuPolicy;
  readonly uptime: UptimeOf;
  readonly swap: boolean;
  readonly zswap: boolean;
  readonly cgroupTree: boolean;
  readonly psiPoll: boolean;
  readonly freshnessMs: number;
  readonly metrics: string;
  readonly workers: number;
  readonly deadlineMs: number;
  readonly logLevel: LogLevel;
}

export type Command = { kind: "help" } | { kind: "version" } | ({ kind: "mount" } & MountCommand);

/** Reads the arguments after the program's name. @throws UsageError */
export function parseMountCommand(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  if (values["debug"] === true && values["foreground"] === true) {
    throw new UsageError("both --debug and --foreground are given: leave one out");
  }
  const [mountpoint, ...rest] = positionals;
  if (mountpoint === undefined || mountpoint === "") {
    throw new UsageError('the mountpoint is missing: try "lxcfs /var/lib/lxcfs"');
  }
  if (rest.length > 0) {
    throw new UsageError(
      `one mountpoint is expected, found ${positionals.length}: ${positionals.join(" ")}`,
    );
  }
  const text = (name: string, fallback: string): string => {
    const value = values[name];
    return typeof value === "string" ? value : fallback;
  };
  return {
    kind: "mount",
    mountpoint,
    mountOptions: [values["options"] ?? []].flat().join(","),
    pidfile: typeof values["pidfile"] === "string" ? values["pidfile"] : undefined,
    runtimeDir: text("runtime-dir", "/run"),
    cpuPolicy: oneOf(
      "cpu-policy",
      text("cpu-policy", values["enable-cfs"] ? "quota" : "cpuset"),
      CPU_POLICIES,
    ),
    uptime: oneOf("uptime", text("uptime", "container"), UPTIMES),
    swap: values["disable-swap"] !== true,
    zswap: values["disable-zswap"] !== true,
    cgroupTree: values["enable-cgroup"] === true,
    psiPoll: values["enable-psi-poll"] === true,
    freshnessMs: wholeNumber("freshness", text("freshness", "10"), 0, 60_000),
    metrics: listenAddress(text("metrics", "")),
    workers: wholeNumber("workers", text("workers", "0"), 0, 16),
    deadlineMs: wholeNumber("deadline", text("deadline", "2000"), 100, 60_000),
    logLevel: oneOf("log-level", text("log-level", values["debug"] ? "debug" : "info"), LOG_LEVELS),
  };
}

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** parseArgs with its complaints turned into one line each. */
function parse(args: readonly string[]): ReturnType<typeof parseArgs> {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const { name, short, value, multiple = false } of OPTIONS) {
    const type = value === undefined ? "boolean" : "string";
    options[name] = { type, multiple, ...(short && { short }) };
  }
  try {
    return parseArgs({ args: args.map(unabbreviated), options, allowPositionals: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The first sentence names the option; the rest is advice on positionals.
    throw new UsageError(`${message.split(/\. |\n/)[0]}: see "lxcfs --help"`);
  }
}

/** getopt_long(3), which LXCFS uses, takes any beginning that only one option has. */
function unabbreviated(argument: string): string {
  const [, given = "", value = ""] = /^--([a-z-]+)(=.*)?$/s.exec(argument) ?? [];
  if (given === "" || OPTIONS.some(({ name }) => name === given)) return argument;
  const meant = OPTIONS.filter(({ name }) => name.startsWith(given));
  return meant.length === 1 && meant[0] ? `--${meant[0].name}${value}` : argument;
}

function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`--${option} takes a number from ${least} to ${most}, found "${text}"`);
}

/** Checked here, where it can still be refused; kept as text. */
function listenAddress(text: string): string {
  if (text === "") return text;
  try {
    parseListenAddress(text);
  } catch (error) {
    throw new UsageError(`--metrics: ${error instanceof Error ? error.message : String(error)}`);
  }
  return text;
}

function oneOf<T extends string>(option: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((value) => value === text);
  if (found !== undefined) return found;
  throw new UsageError(`--${option} takes one of ${allowed.join(", ")}, found "${text}"`);
}
