/**
 * A filesystem server under test, ours or Debian's lxcfs, on a mountpoint of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardWith, type Undo } from "./guard.ts";
import { lxcfsCommand } from "./project.ts";
import { run, tryRun } from "./run.ts";
import { sleepSync, waitFor } from "./wait.ts";

export type ServerKind = "ours" | "peer";

export interface ServerOptions {
  readonly kind?: ServerKind;
  /** The program to start instead of this project's own `bin/lxcfs`. */
  readonly command?: string;
  /** Further arguments, before the mountpoint. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Wait until the mount answers. @default true */
  readonly wait?: boolean;
}

/** A running server and its mount. */
export class Server {
  readonly kind: ServerKind;
  readonly mountpoint: string;
  /** What it wrote to stdout and stderr so far. */
  output = "";
  /** From the start of the process to the first answered read; NaN if that was not awaited. */
  readyMs = Number.NaN;
  readonly process: ChildProcess;
  readonly directory: string;
  readonly #undo: Undo;

  private constructor(kind: ServerKind, directory: string, process: ChildProcess, undo: Undo) {
    this.kind = kind;
    this.directory = directory;
    this.mountpoint = join(directory, "mnt");
    this.process = process;
    this.#undo = undo;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
  }

  /** Starts a server on a new mountpoint, by default until it answers a read. */
  static async start(options: ServerOptions = {}): Promise<Server> {
    const kind = options.kind ?? "ours";
    const directory = mkdtempSync(join(tmpdir(), `lxcfs-${kind}-`));
    // Containers with other user ids must get through.
    run(["chmod", "755", directory]);
    const mountpoint = join(directory, "mnt");
    mkdirSync(mountpoint);
    mkdirSync(join(directory, "run"));
    const undo = guardWith(stopScript(directory));
    const argv = [
      ...commandOf(kind, directory, options.command),
      ...(options.args ?? []),
      mountpoint,
    ];
    const startedMs = performance.now();
    const [program = "", ...rest] = argv;
    const child = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      // A start is measured: certificates that this machine may want to be read are not a part of it.
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, ...options.environment },
    });
    const server = new Server(kind, directory, child, undo);
    child.once("error", (error) => (server.output += String(error)));
    if (options.wait === false) return server;
    try {
      server.readyMs = (await server.answers()) - startedMs;
    } catch (error) {
      server.kill();
      throw error;
    }
    return server;
  }

  /** Waits until a read is answered. @returns when, in performance.now() milliseconds */
  async answers(timeoutMs = 15_000): Promise<number> {
    await waitFor(
      `${this.kind} server answers on ${this.mountpoint}`,
      () => {
        if (this.process.exitCode !== null || this.process.signalCode !== null) {
          throw new Error(`The ${this.kind} server ended: ${this.output.trim()}`);
        }
        return this.answersNow();
      },
      timeoutMs,
      2,
    );
    return performance.now();
  }

  /** Whether a read is answered right now. */
  answersNow(): boolean {
    try {
      return readFileSync(join(this.mountpoint, "proc/meminfo"), "utf8").startsWith("MemTotal:");
    } catch {
      return false;
    }
  }

  /** Pids of its living processes: those with its directory in their command line, and children. */
  pids(): number[] {
    return processesOf(this.directory);
  }

  /**
   * Ends it as a service manager would; waits, then checks that nothing is left. The peer, whose
   * load thread takes seconds to notice, is simply killed.
   */
  async stop(): Promise<void> {
    if (this.kind === "peer") {
      this.kill();
      return;
    }
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGTERM");
      await waitFor(
        `the ${this.kind} server ends`,
        () => this.process.exitCode !== null || this.process.signalCode !== null,
      ).catch(() => undefined);
    }
    const left = this.left();
    this.kill();
    if (this.output.includes("system call that it has no use for")) {
      throw new Error(`The server made calls that its filter refuses: ${this.output.trim()}`);
    }
    if (left.length > 0) throw new Error(`The ${this.kind} server left ${left.join(", ")}`);
  }

  /** What it left behind: processes and mounts. Only meaningful after its end. */
  left(): string[] {
    let left: string[] = [];
    for (let tries = 0; tries < 20; tries++) {
      left = processesOf(this.directory).map((pid) => `process ${pid}`);
      if (readFileSync("/proc/self/mountinfo", "utf8").includes(this.directory)) {
        left.push(`a mount below ${this.directory}`);
      }
      if (left.length === 0) break;
      sleepSync(50);
    }
    return left;
  }

  /** Ends it without ceremony and removes everything. Idempotent. */
  kill(): void {
    this.#undo.run();
    this.process.kill("SIGKILL");
  }
}

/** Whether Debian's lxcfs is there to compare with. */
export function peerInstalled(): boolean {
  return existsSync("/usr/bin/lxcfs");
}

/** The peer's version, such as `5.0.3`. */
export function peerVersion(): string {
  const { stdout, stderr } = tryRun(["/usr/bin/lxcfs", "--version"]);
  return /\d+(\.\d+)+/.exec(stdout + stderr)?.[0] ?? "unknown";
}

function commandOf(kind: ServerKind, directory: string, command = lxcfsCommand): string[] {
  const pidfile = join(directory, "lxcfs.pid");
  if (kind === "peer") return ["/usr/bin/lxcfs", "-f", "-l", "-p", pidfile];
  return [command, "-f", "-p", pidfile, "--runtime-dir", join(directory, "run")];
}

function processesOf(directory: string): number[] {
  const parents = new Map<number, number>();
  const found = new Set<number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (fields[0] === "Z") continue;
      parents.set(pid, Number(fields[1]));
      const command = readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0");
      // A container's launcher names the directory too, inside a script, not at an argument's start.
      if (command.some((argument) => isBelow(argument, directory))) found.add(pid);
    } catch {
      // Gone meanwhile.
    }
  }
  let before = -1;
  while (found.size !== before) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

function isBelow(argument: string, directory: string): boolean {
  return argument.startsWith(`${directory}/`);
}

function stopScript(directory: string): string {
  return `
for cmdline in $(grep -lF '${directory}/' /proc/[0-9]*/cmdline 2>/dev/null); do
  tr '\\0' '\\n' < "$cmdline" | grep -q '^${directory}/' || continue
  pid=\${cmdline#/proc/}; pid=\${pid%/cmdline}
  children=$(cat /proc/$pid/task/*/children)
  kill -9 $pid $children
done
umount -l '${directory}/mnt' '${directory}'/run/lxcfs/*.cached
rm -rf --one-file-system '${directory}'
`;
}
