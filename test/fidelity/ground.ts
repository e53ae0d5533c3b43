/** Ground truth and known loads: what the kernel itself accounts, read by no code of the project's. */
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container } from "../support/container.ts";
import { guardWith, type Undo } from "../support/guard.ts";
import { keyedNumbers, statRows } from "../support/parse.ts";
import { projectRoot } from "../support/project.ts";
import { installed, run } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

/** Why loads can't be made here; false: they can. */
export function whyNoLoads(): string | false {
  return installed("cc") ? false : "needs a C compiler, see tools/setup-debian.sh";
}

/** The programs that make loads and watch counters, built into a directory that goes with the tests. */
export class Loads {
  readonly directory: string;
  readonly program: string;
  readonly #undo: Undo;

  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), "lxcfs-load-"));
    this.#undo = guardWith(`rm -rf '${this.directory}'`);
    this.program = this.#build("load");
  }

  #build(name: string): string {
    const program = join(this.directory, name);
    const source = join(projectRoot, "test/fidelity", `${name}.c`);
    run(["cc", "-O1", "-pthread", "-o", program, source], { timeoutMs: 180_000 });
    return program;
  }

  /** Starts a load inside; it waits to be told to begin. */
  async start(container: Container, ...argv: readonly string[]): Promise<Load> {
    const load = new Load(container.spawn([this.program, ...argv]));
    await load.said("ready");
    return load;
  }

  /** Starts readers inside, one for each period in microseconds; see watch.c. */
  async watch(
    container: Container,
    directory: string,
    periodsUs: readonly number[],
  ): Promise<Load> {
    const argv = [this.#build("watch"), directory, ...periodsUs.map(String)];
    const watch = new Load(container.spawn(argv));
    await watch.said("ready");
    return watch;
  }

  close(): void {
    this.#undo.run();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** One running load. */
export class Load {
  readonly #process: ChildProcess;
  output = "";

  constructor(process: ChildProcess) {
    this.#process = process;
    for (const stream of [process.stdout, process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    }
    process.stdin?.on("error", () => undefined);
  }

  async said(word: string, times = 1, timeoutMs = 30_000): Promise<void> {
    const count = (): number => this.output.split("\n").filter((line) => line === word).length;
    await waitFor(`the load says ${word} (it said: ${this.output})`, () => count() >= times, timeoutMs); // prettier-ignore
  }

  /** Makes the load and, unless told otherwise, waits until it is made. */
  async begin(until: string | undefined = "done"): Promise<void> {
    this.#process.stdin?.write("\n");
    if (until !== undefined) await this.said(until);
  }

  /** Tells it to come to its end, and waits until it says so. */
  async finish(): Promise<void> {
    this.#process.stdin?.end();
    await this.said("done");
  }

  async stop(): Promise<void> {
    this.#process.stdin?.end();
    this.#process.kill("SIGKILL");
    await waitFor("the load ends", () => this.#process.exitCode !== null || this.#process.signalCode !== null); // prettier-ignore
  }
}

/** The container's files as the host sees them: read by this process, without a program inside. */
export function ownFile(mountpoint: string, container: Container, path: string): string {
  return readFileSync(join(mountpoint, "containers", keyOf(container), path), "latin1");
}

/** The container's name below `containers/`. */
export function keyOf(container: Container): string {
  const { hierarchies } = container.cgroups;
  const directories = container.cgroups.directories();
  const memory = hierarchies.findIndex(
    ({ version, controllers }) => version === 1 && controllers.includes("memory"),
  );
  const index = memory >= 0 ? memory : hierarchies.findIndex(({ version }) => version === 2);
  const inode = statSync(directories[index] ?? "").ino;
  return memory >= 0 ? `memory-${inode}` : String(inode);
}

/** CPU time that the kernel accounts to the container, in ticks of 10 ms. */
export function usedTicks(container: Container): number {
  const usage = container.cgroups.file("cpuacct.usage");
  if (usage !== undefined) return Number(readFileSync(usage, "utf8")) / 1e7;
  const stat = container.cgroups.file("cpu.stat");
  if (stat === undefined) throw new Error("The container has no CPU accounting");
  return (keyedNumbers(readFileSync(stat, "utf8")).get("usage_usec") ?? 0) / 1e4;
}

/** Memory that the kernel accounts to the container, in KiB. */
export function usedKib(container: Container): number {
  const file =
    container.cgroups.file("memory.usage_in_bytes") ?? container.cgroups.file("memory.current");
  if (file === undefined) throw new Error("The container has no memory accounting");
  return Number(readFileSync(file, "utf8")) / 1024;
}

/** Swap that the kernel accounts to the container, in KiB; `undefined` where it accounts none. */
export function swappedKib(container: Container): number | undefined {
  const own = container.cgroups.file("memory.swap.current");
  if (own !== undefined) return Number(readFileSync(own, "utf8")) / 1024;
  const both = container.cgroups.file("memory.memsw.usage_in_bytes");
  if (both === undefined) return undefined;
  return Number(readFileSync(both, "utf8")) / 1024 - usedKib(container);
}

/** Seconds since the host's boot, in hundredths: CLOCK_BOOTTIME. */
export function hostUptime(): number {
  return Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
}

/** Start time of a process in seconds since the host's boot. */
export function startSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]) / 100;
}

/** Busy and idle ticks of a /proc/stat. */
export function ticksOf(text: string): { busy: number; idle: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, ...rest] = statRows(text).get("cpu") ?? [];
  return { busy: user + nice + system + rest.slice(1).reduce((sum, each) => sum + each, 0), idle };
}
