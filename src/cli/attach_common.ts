/** What attach, detach and heal have in common: whom they are about, and how they tell what was done. */
import { existsSync } from "node:fs";
import { liveness, lxcfsMountpoints, mountpointPath } from "../daemon/mountpoint.ts";
import type { Outcome } from "../attach/types.ts";
import { ExplainError, type Reason } from "../explain/error.ts";
import { discoverContainers, findContainer, NameError } from "../runtimes/discover.ts";
import type { FoundContainer } from "../runtimes/types.ts";

/** Exit codes of these commands: 0 is done. */
export const EXIT = {
  failed: 1,
  usage: 2,
  unknown: 3,
  ambiguous: 4,
  noRights: 5,
  noServer: 6,
  noRuntime: 7,
} as const;

/** A complaint for the user: one line, and what the command exits with. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}

/** Runs `work`, turning what a user can mend into one line and its exit code. */
export async function command(name: string, work: () => Promise<number>): Promise<number> {
  try {
    if (process.getuid?.() !== 0) {
      throw new CommandError(EXIT.noRights, "only root may do this: run it with sudo");
    }
    return await work();
  } catch (thrown) {
    const exitCode = exitCodeOf(thrown);
    if (exitCode === undefined) throw thrown;
    process.stderr.write(`lxcfs ${name}: ${messageOf(name, thrown as Error)}\n`);
    return exitCode;
  }
}

/** One line. Node.js explains at length how strange options could be meant as names. */
function messageOf(name: string, error: Error): string {
  const [line = ""] = error.message.split("\n");
  if (!isUsage(error)) return line;
  return `${line.split(". ")[0]}: "lxcfs ${name} --help" tells which there are`;
}

function isUsage(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && code.startsWith("ERR_PARSE_ARGS");
}

const EXPLAIN_EXIT: Readonly<Record<Reason, number>> = {
  usage: EXIT.usage,
  unknown: EXIT.unknown,
  "no-rights": EXIT.noRights,
  "no-server": EXIT.noServer,
  failed: EXIT.failed,
};

function exitCodeOf(thrown: unknown): number | undefined {
  if (thrown instanceof CommandError) return thrown.exitCode;
  if (thrown instanceof ExplainError) return EXPLAIN_EXIT[thrown.reason];
  if (thrown instanceof NameError) {
    return thrown.reason === "unknown" ? EXIT.unknown : EXIT.ambiguous;
  }
  return isUsage(thrown) ? EXIT.usage : undefined;
}

/** Someone to act on, with the name that the report uses. */
export interface Subject {
  readonly pid: number;
  readonly label: string;
}

/** The processes and containers named, or all containers. @throws CommandError, NameError */
export function findSubjects(named: readonly string[], all: boolean): Subject[] {
  if (all === named.length > 0) {
    throw new CommandError(
      EXIT.usage,
      all
        ? "give --all or names, not both"
        : "whom? Give a PID, a container's name or id, or --all",
    );
  }
  const numbers = named.every((name) => /^\d+$/.test(name));
  const containers = all || !numbers ? discoverContainers() : [];
  if (all)
    return containers.map(({ pid, runtime, name }) => ({ pid, label: `${runtime}:${name}` }));
  return named.map((name) => {
    if (/^\d+$/.test(name)) return { pid: Number(name), label: `process ${name}` };
    return subjectCalled(containers, name);
  });
}

/** The container of that name, even if the name is a number. @throws CommandError, NameError */
export function containerSubject(name: string): Subject {
  return subjectCalled(discoverContainers(), name);
}

function subjectCalled(containers: readonly FoundContainer[], called: string): Subject {
  const { pid, runtime, name } = containerCalled(containers, called);
  return { pid, label: `${runtime}:${name}` };
}

/** One of what each runtime is made of: a machine without it has no containers of that runtime. */
const PROGRAMS: Readonly<Record<string, string>> = {
  docker: "docker",
  podman: "podman",
  containerd: "containerd",
  crio: "crio",
  lxc: "lxc-start",
  nspawn: "systemd-nspawn",
  runc: "runc",
  crun: "crun",
};
const PROGRAM_DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/bin"];

function containerCalled(containers: readonly FoundContainer[], name: string): FoundContainer {
  try {
    return findContainer(containers, name);
  } catch (thrown) {
    const [runtime = ""] = name.split(":", 1);
    const program = name.includes(":") ? PROGRAMS[runtime] : undefined;
    if (program === undefined || isInstalled(program)) throw thrown;
    throw new CommandError(
      EXIT.noRuntime,
      `${runtime} is not installed here (no ${program}): "lxcfs ps" lists what runs`,
    );
  }
}

function isInstalled(program: string): boolean {
  return PROGRAM_DIRECTORIES.some((directory) => existsSync(`${directory}/${program}`));
}

/** The mount that is meant: the one given, else the one there is. It answers. @throws CommandError */
export async function findMountPoint(given: string | undefined): Promise<string> {
  const mountPoints = [...new Set(lxcfsMountpoints())];
  const mountPoint = given === undefined ? onlyOf(mountPoints) : mountpointPath(given);
  if (!mountPoints.includes(mountPoint)) {
    throw new CommandError(EXIT.noServer, `no lxcfs is mounted on ${mountPoint}`);
  }
  const state = await liveness(mountPoint);
  if (state === "answers") return mountPoint;
  const what = state === "dead" ? "its server is gone" : "its server does not answer";
  throw new CommandError(EXIT.noServer, `${mountPoint} is of no use, ${what}: start lxcfs again`);
}

function onlyOf(mountPoints: readonly string[]): string {
  const [first, ...others] = mountPoints;
  if (first === undefined) {
    throw new CommandError(
      EXIT.noServer,
      "no lxcfs is mounted: start one with `lxcfs /var/lib/lxcfs`",
    );
  }
  if (others.length === 0) return first;
  throw new CommandError(
    EXIT.usage,
    `more than one lxcfs is mounted: choose by --mountpoint among ${mountPoints.join(", ")}`,
  );
}

/** Seconds on the command line to milliseconds. @throws CommandError */
export function secondsToMs(option: string, text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 3600) return seconds * 1000;
  throw new CommandError(EXIT.usage, `--${option} takes seconds, found "${text}"`);
}

/** One line for each container, and one below it for each target that is not as wished. */
export function describeOutcome(label: string, outcome: Outcome, dryRun: boolean): string {
  const counts = new Map<string, number>();
  for (const { did } of outcome.steps) counts.set(did, (counts.get(did) ?? 0) + 1);
  const would = dryRun ? "would be " : "";
  const summary = [...counts].map(([did, count]) => `${count} ${would}${did}`).join(", ");
  const message = outcome.message === undefined ? summary : `${outcome.status}: ${outcome.message}`;
  const lines = [`${label}: ${message || "nothing to do"}`];
  for (const { target, did, why } of outcome.steps) {
    if (did === "skipped" || did === "failed" || dryRun) {
      lines.push(`  ${target}: ${did}${why === undefined ? "" : `, ${why}`}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
