/**
 * A machine for container engines and what they leave behind: one set of namespaces, whose process 1
 * sleeps, with the real machine's programs. What is written below /etc, /usr/share, /var/lib and /run
 * is its own, and so is the root of its cgroups; so engines can be installed and run as their
 * documentation says. All of it ends with process 1, and that with the test, however it ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { mountedHierarchies } from "../support/cgroup_tree.ts";
import { quote } from "../support/container.ts";
import { guardWith, type Undo } from "../support/guard.ts";
import { whyNoMounts } from "../support/lab.ts";
import { projectRoot } from "../support/project.ts";
import { installed, type Result, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

export interface MachineOptions {
  /**
   * Show the v1 hierarchies alone where the machine has both: crun refuses such a machine as soon as
   * the v2 hierarchy has a controller.
   */
  readonly hideCgroup2?: boolean;
}

/** A busy machine may take long for what takes a second. */
const PATIENCE_MS = 60_000;
const SERVER = "/var/lib/lxcfs";

/** Why a machine with these programs cannot be had here, or false. */
export function whyNoMachine(...programs: readonly string[]): string | false {
  const missing = [...programs, "busybox"].filter((program) => !installed(program));
  if (whyNoMounts() !== false) return whyNoMounts();
  return missing.length > 0 && `${missing.join(", ")}: not installed, see tools/setup-debian.sh`;
}

let made = 0;

export class Machine {
  /** Memory of its own, with the same path inside and (empty) outside. */
  readonly directory: string;
  readonly #name: string;
  readonly #launcher: ChildProcess;
  readonly #undo: Undo;
  #pid = 0;

  private constructor(options: MachineOptions) {
    this.#name = `lxcfs-test-machine-${process.pid}-${made++}`;
    this.directory = mkdtempSync(join(tmpdir(), "lxcfs-machine-"));
    this.#undo = guardWith(endScript(this.#name, this.directory));
    const namespaces = ["--mount", "--pid", "--cgroup", "--net", "--uts", "--ipc"];
    const setup = ["sh", "-ec", setupScript(this.directory, options)];
    const argv = ["unshare", ...namespaces, "--fork", "--kill-child", "--mount-proc", ...setup];
    const script = `${joinScript(this.#name)}\nexec setpriv --pdeathsig KILL "$@"`;
    this.#launcher = spawn("sh", ["-ec", script, "sh", ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  /** @throws Error if it cannot be set up; what the setup said is on stderr */
  static async start(options: MachineOptions = {}): Promise<Machine> {
    const machine = new Machine(options);
    const launcher = machine.#launcher;
    try {
      await new Promise<void>((resolve, reject) => {
        launcher.stdout?.once("data", () => resolve());
        launcher.once("exit", (code) =>
          reject(new Error(`The machine's setup ended with ${code}`)),
        );
      });
      const children = readFileSync(`/proc/${launcher.pid}/task/${launcher.pid}/children`, "utf8");
      machine.#pid = Number(children.trim().split(" ")[0]);
      return machine;
    } catch (error) {
      machine.stop();
      throw error;
    }
  }

  /** Runs an sh script in the project's directory, as a person on the machine would. */
  try(script: string, timeoutMs: number = PATIENCE_MS): Result {
    return tryRun(this.#command(script), { timeoutMs });
  }

  /** The same. @returns its standard output @throws Error if it fails */
  run(script: string): string {
    const { status, stdout, stderr } = this.try(script);
    if (status !== 0) throw new Error(`${script}\nended with ${status}: ${stderr}${stdout}`);
    return stdout;
  }

  /** Starts what goes on running, and waits until `ready` (sh) succeeds. @returns its log's path */
  async daemon(name: string, script: string, ready: string): Promise<string> {
    const log = join(dirname(this.directory), `${this.#name}-${name}.log`);
    const undo = guardWith(`rm -f '${log}'`);
    const output = openSync(log, "w");
    const [program = "", ...args] = this.#command(script);
    const child = spawn(program, args, { stdio: ["ignore", output, output] });
    closeSync(output);
    this.#launcher.once("exit", () => undo.run());
    await waitFor(
      `${name} is ready`,
      () => {
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`${name} ended: ${readFileSync(log, "utf8")}`);
        }
        return this.try(ready, 5000).status === 0;
      },
      PATIENCE_MS,
      100,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${readFileSync(log, "utf8")}`);
    });
    child.unref();
    return log;
  }

  /** Starts the filesystem by the documented command. */
  async serve(command: string): Promise<void> {
    this.run(`mkdir -p ${SERVER}`);
    await this.daemon("lxcfs", command, `head -c1 ${SERVER}/proc/uptime`);
  }

  /** Kills the filesystem's server and holder, whoever has /dev/fuse open: its mounts are dead then. */
  killServer(): void {
    this.run(`for try in 1 2 3; do
      for link in $(find /proc/[0-9]*/fd -lname /dev/fuse 2>/dev/null); do
        pid=\${link#/proc/}; kill -9 \${pid%%/*} 2>/dev/null || :
      done; sleep 0.1; done
      umount -l ${SERVER} 2>/dev/null || :`);
  }

  /** Ends it, with all that runs on it. Idempotent. */
  stop(): void {
    this.#undo.run();
    this.#launcher.kill("SIGKILL");
  }

  #command(script: string): string[] {
    const enter = ["nsenter", "-t", String(this.#pid), "-m", "-p", "-C", "-n", "-u", "-i", "--"];
    const path = `${this.directory}/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const environment = ["env", "-i", `PATH=${path}`, "HOME=/root", "LC_ALL=C.UTF-8"];
    const join = `${joinScript(this.#name)}\nexec "$@"`;
    const inside = `cd ${quote(projectRoot)}\n${script}`;
    return ["sh", "-ec", join, "sh", ...enter, ...environment, "sh", "-ec", inside];
  }
}

/** Puts the shell into the machine's cgroup of every hierarchy, made if need be. */
function joinScript(name: string): string {
  const lines = mountedHierarchies().map(({ mountpoint, version }) => {
    const cgroup = `${mountpoint}/${name}`;
    // A new cpuset has neither CPUs nor memory, and takes no process.
    const inherit = ["cpuset.cpus", "cpuset.mems"]
      .map((file) => `cat ${mountpoint}/${file} >${cgroup}/${file}`)
      .join("; ");
    const fill = version === 1 ? `; [ ! -e ${cgroup}/cpuset.cpus ] || { ${inherit}; }` : "";
    return `[ -d ${cgroup} ] || { mkdir ${cgroup}${fill}; }; echo $$ >${cgroup}/cgroup.procs`;
  });
  return lines.join("\n");
}

function setupScript(directory: string, options: MachineOptions): string {
  const trees = ["etc", "usr/share", "var/lib"];
  const engines = ["docker", "containerd", "containers", "lxc"];
  const overlay = trees.map((tree) => {
    const upper = `${directory}/${tree}/upper`;
    const work = `${directory}/${tree}/work`;
    return `mkdir -p ${upper} ${work}
mount -t overlay -o lowerdir=/${tree},upperdir=${upper},workdir=${work} machine /${tree}`;
  });
  // An overlay cannot lie on an overlay: engines get a filesystem of their own for their layers.
  const layers = engines.map(
    (name) => `mkdir -p /var/lib/${name}; mount -t tmpfs -o mode=755 ${name} /var/lib/${name}`,
  );
  const hierarchies = mountedHierarchies();
  const single = hierarchies.length === 1;
  const shown = hierarchies.filter(
    ({ version }) => version === 1 || single || !options.hideCgroup2,
  );
  const cgroups = shown.map(({ mountpoint, version, controllers }) => {
    const type = version === 2 ? "cgroup2" : `cgroup -o ${controllers.join(",")}`;
    return `mkdir -p ${mountpoint}; mount -t ${type} cgroup ${mountpoint}`;
  });
  return `
mount --make-rprivate /
for point in $(grep ' fuse' /proc/self/mounts | cut -d' ' -f2); do umount -l $point || :; done
mount -t tmpfs -o mode=755 machine ${directory}
${overlay.join("\n")}
${layers.join("\n")}
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock ${directory}/bin
umount -l /sys/fs/cgroup
mount -t tmpfs -o mode=755 cgroups /sys/fs/cgroup
${cgroups.join("\n")}
ln -s ${quote(projectRoot)}/bin/lxcfs ${directory}/bin/lxcfs
ln -s ${quote(process.execPath)} ${directory}/bin/node
echo ready
exec sleep infinity >/dev/null 2>&1`;
}

/** Whoever is in its cgroups is killed; the kernel takes down namespaces and mounts. */
function endScript(name: string, directory: string): string {
  return `
for try in 1 2 3 4 5 6 7 8 9 10; do
  pids=$(find /sys/fs/cgroup -path '*/${name}*' -name cgroup.procs -exec cat {} + | grep -vx 0 | sort -u)
  [ -z "$pids" ] && find /sys/fs/cgroup -depth -type d -path '*/${name}*' -exec rmdir {} + && break
  kill -9 $pids
  sleep 0.1
done
rmdir '${directory}'
rm -f '${dirname(directory)}/${name}'-*.log
`;
}
