/**
 * Real containers for tests: cgroups in every hierarchy and namespaces by unshare(1), with the
 * machine's own root filesystem, so that every installed tool can run inside.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CgroupTree, type Hierarchy, type Limits } from "./cgroup_tree.ts";
import { run, type RunOptions, type Result, tryRun } from "./run.ts";
import { waitFor } from "./wait.ts";

export interface ContainerOptions {
  readonly limits?: Limits;
  /** How many cgroups deep below the hierarchy's root the container is. @default 1 */
  readonly depth?: number;
  /** At which level (1 is the topmost) the limits are set. @default the deepest */
  readonly limitLevel?: number;
  /** What is bound into the container: its path inside -> source on the host. */
  readonly binds?: ReadonlyMap<string, string>;
  /** A filesystem of ours or the peer's: all its classic files are bound, as LXC's hook does. */
  readonly mountpoint?: string;
  /** Own user namespace: container root is this host uid, with 65536 ids. */
  readonly userBase?: number;
  /** Own time namespace, whose clock since boot begins with the container. @default false */
  readonly timeNamespace?: boolean;
  /** Join the pid namespace of the process with this host pid, or the host's; default: a new one. */
  readonly pidNamespaceOf?: number;
  /** Fresh cgroup mounts inside, as runtimes make. @default true */
  readonly cgroupMounts?: boolean;
  /** The container's pid 1, run by exec. @default sleep infinity */
  readonly init?: readonly string[];
}

let made = 0;

/** A running container. */
export class Container {
  readonly cgroups: CgroupTree;
  /** Host pid of the container's pid 1. */
  readonly initPid: number;
  readonly #launcher: ChildProcess;
  readonly #holder: ChildProcess | undefined;
  readonly #options: ContainerOptions;

  private constructor(
    cgroups: CgroupTree,
    initPid: number,
    launcher: ChildProcess,
    holder: ChildProcess | undefined,
    options: ContainerOptions,
  ) {
    this.cgroups = cgroups;
    this.initPid = initPid;
    this.#launcher = launcher;
    this.#holder = holder;
    this.#options = options;
  }

  /** Makes the cgroups and starts the container's init in them. */
  static async start(options: ContainerOptions = {}): Promise<Container> {
    const cgroups = new CgroupTree(`lxcfs-test-${process.pid}-${made++}`, options.depth ?? 1);
    let holder: ChildProcess | undefined;
    let launcher: ChildProcess | undefined;
    try {
      if (options.limits) cgroups.limit(options.limits, levelPath(cgroups, options.limitLevel));
      holder = options.userBase === undefined ? undefined : await holdUsers(options.userBase);
      const script = launchScript(cgroups, options, holder?.pid);
      launcher = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
      await saidReady(launcher);
      const initPid = childOf(launcher);
      if (initPid === undefined) throw new Error("Cannot find the container's init");
      return new Container(cgroups, initPid, launcher, holder, options);
    } catch (error) {
      launcher?.kill("SIGKILL");
      holder?.kill("SIGKILL");
      cgroups.remove();
      throw error;
    }
  }

  /** The command that runs `argv` inside: in its cgroups first, then in its namespaces. */
  command(argv: readonly string[], cgroupPath: string = this.cgroups.path): string[] {
    const enter = ["nsenter", "-t", String(this.initPid), "-m", "-C", "-p"];
    if (this.#options.timeNamespace === true) enter.push("-T");
    if (this.#holder !== undefined) enter.push("-U", "-S", "0", "-G", "0");
    const join = `set -e\n${this.cgroups.joinScript(cgroupPath)}\nexec "$@"`;
    return ["sh", "-c", join, "sh", ...enter, "--", ...argv];
  }

  /** Runs `argv` inside to its end, whatever its exit code. */
  tryExec(argv: readonly string[], options: RunOptions = {}): Result {
    return tryRun(this.command(argv), options);
  }

  /** Runs `argv` inside and returns its output. @throws Error if it fails */
  exec(argv: readonly string[], options: RunOptions = {}): string {
    return run(this.command(argv), options);
  }

  /** A file as a process inside reads it. */
  read(path: string): string {
    return this.exec(["cat", path]);
  }

  /** Starts `argv` inside and leaves it running. */
  spawn(argv: readonly string[]): ChildProcess {
    const [program = "", ...rest] = this.command(argv);
    return spawn(program, rest, { stdio: ["pipe", "pipe", "pipe"] });
  }

  /** Kills everything inside and removes the cgroups. Idempotent. */
  stop(): void {
    this.#launcher.kill("SIGKILL");
    this.cgroups.remove();
    this.#holder?.kill("SIGKILL");
  }
}

function levelPath(cgroups: CgroupTree, level: number | undefined): string {
  if (level === undefined) return cgroups.path;
  return cgroups.path
    .split("/")
    .slice(0, level + 1)
    .join("/");
}

/** The sh program that becomes the container: joins the cgroups, unshares, mounts, runs init. */
function launchScript(
  cgroups: CgroupTree,
  options: ContainerOptions,
  userHolder: number | undefined,
): string {
  const unshare = ["unshare", "--mount", "--cgroup", "--propagation", "private"];
  if (options.pidNamespaceOf === undefined) unshare.push("--pid", "--fork", "--kill-child");
  if (options.timeNamespace === true) unshare.push("--time", `--boottime=-${bootSeconds()}`);
  const enter: string[] = [];
  if (userHolder !== undefined) {
    enter.push("nsenter", `--user=/proc/${userHolder}/ns/user`, "-S", "0", "-G", "0");
  }
  if (options.pidNamespaceOf !== undefined) {
    enter.push("nsenter", `--pid=/proc/${options.pidNamespaceOf}/ns/pid`);
  }
  return `set -e
${cgroups.joinScript()}
exec ${[...enter, ...unshare].join(" ")} sh -c ${quote(insideScript(cgroups, options))}`;
}

/** Whole seconds since the machine's boot. */
function bootSeconds(): number {
  return Math.floor(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]));
}

/** What runs as the container's pid 1 until init takes its place. */
function insideScript(cgroups: CgroupTree, options: ContainerOptions): string {
  const lines = ["set -e"];
  if (options.pidNamespaceOf === undefined) lines.push("mount -t proc proc /proc");
  if (options.cgroupMounts !== false) lines.push(...cgroupMounts(cgroups.hierarchies));
  const binds = new Map(options.binds);
  if (options.mountpoint !== undefined) {
    for (const [inside, source] of classicBinds(options.mountpoint)) binds.set(inside, source);
  }
  for (const [inside, source] of binds) {
    // not canonicalized: each step of that asks the server, by the dozen in all
    lines.push(`mount -c --bind ${quote(source)} ${quote(inside)}`);
  }
  const init = options.init ?? ["sleep", "infinity"];
  lines.push("echo ready", `exec ${init.map(quote).join(" ")} >/dev/null 2>&1`);
  return lines.join("\n");
}

/** What a runtime mounts at /sys/fs/cgroup: each hierarchy anew, rooted at the cgroup namespace. */
export function cgroupMounts(hierarchies: readonly Hierarchy[]): string[] {
  // The host's own would stay in mountinfo, hidden. A user namespace may not take them away.
  const lines = ["umount -l /sys/fs/cgroup 2>/dev/null || :"];
  const single = hierarchies.length === 1 && hierarchies[0]?.version === 2;
  // Always: the kernel refuses to mount the v2 filesystem right on top of itself.
  lines.push("mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup");
  for (const { version, mountpoint, controllers } of hierarchies) {
    if (!single) lines.push(`mkdir -p '${mountpoint}'`);
    const type = version === 2 ? "cgroup2" : `cgroup -o ${controllers.join(",")}`;
    lines.push(`mount -t ${type} cgroup '${mountpoint}'`);
  }
  return lines;
}

/** Inside path -> source for the files a mount at `mountpoint` offers under /proc and /sys. */
export function classicBinds(mountpoint: string): Map<string, string> {
  const binds = new Map<string, string>();
  for (const name of readdirSync(join(mountpoint, "proc"))) {
    const source = join(mountpoint, "proc", name);
    if (!existsSync(join("/proc", name))) continue;
    if (!statSync(source).isDirectory()) {
      binds.set(`/proc/${name}`, source);
      continue;
    }
    for (const inner of readdirSync(source))
      binds.set(`/proc/${name}/${inner}`, join(source, inner));
  }
  const system = "sys/devices/system";
  for (const kind of readdirSync(join(mountpoint, system))) {
    const offered = readdirSync(join(mountpoint, system, kind));
    // A directory with a uevent is as whole as the kernel's: bound as one.
    const whole = offered.includes("uevent");
    for (const name of whole ? [""] : offered) {
      binds.set(join("/", system, kind, name), join(mountpoint, system, kind, name));
    }
  }
  return binds;
}

/** A process in a new user namespace whose ids start at `base`; others join it with nsenter. */
async function holdUsers(base: number): Promise<ChildProcess> {
  const holder = spawn("unshare", ["--user", "sleep", "infinity"], { stdio: "ignore" });
  const own = readFileSync("/proc/self/uid_map", "utf8");
  await waitFor("a process in a new user namespace", () => {
    const map = holder.pid && readFileSync(`/proc/${holder.pid}/uid_map`, "utf8");
    return map !== undefined && map !== own;
  });
  for (const kind of ["uid_map", "gid_map"]) {
    writeFileSync(`/proc/${holder.pid}/${kind}`, `0 ${base} 65536\n`);
  }
  return holder;
}

/** Resolves when the launcher has printed `ready`. */
async function saidReady(launcher: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let stderr = "";
    launcher.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    launcher.stdout?.once("data", () => resolve());
    launcher.once("error", reject);
    launcher.once("close", (code, signal) => {
      reject(new Error(`The container did not start (${code ?? signal}): ${stderr.trim()}`));
    });
  });
}

function childOf(process: ChildProcess): number | undefined {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
  const first = children.trim().split(" ")[0];
  return first === undefined || first === "" ? undefined : Number(first);
}

/** Quotes `text` for sh. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
