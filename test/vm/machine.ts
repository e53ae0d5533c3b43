/**
 * A virtual machine: starts it, runs commands in it, ends it.
 *
 * The guest's agent listens on a virtio-serial port; a job's command, output and status are files
 * of a shared folder (guest/agent, guest/job). Nothing of a machine outlives this process: QEMU is
 * killed by the kernel when its parent dies, and its disks are thrown away.
 */
import { spawn, type ChildProcess } from "node:child_process";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Layout } from "./layout.ts";
import { MAX_SHARES, qemuArguments, type Share, type Start } from "./qemu.ts";
import { Qmp } from "./qmp.ts";
import { repository } from "./repository.ts";
import { quote } from "../support/container.ts";
import { guardWith, type Undo } from "../support/guard.ts";

export interface MachineOptions {
  readonly layout: Layout;
  /** Folder of build.sh's images. */
  readonly images: string;
  readonly start: Start;
  /** Folder of the saved state; needed unless the start is cold. */
  readonly state?: string;
  readonly shares?: readonly Share[];
  /** Default 4. A saved state can be restored with the same figure only, likewise the next two. */
  readonly cpus?: number;
  /** Default 2048. */
  readonly memoryMib?: number;
  /** Whether there is 1 GiB of swap. Default true. */
  readonly swap?: boolean;
  /** Added to the kernel's command line (cold boots). */
  readonly moreKernelArguments?: string;
  /** Whether `terminal` is wanted. Default false. */
  readonly terminal?: boolean;
}

export interface JobOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this the job gets SIGTERM, a second later SIGKILL, and its status is 124. Default: none. */
  readonly timeoutMs?: number;
  /** Where output goes as it comes. Default: this process's own. */
  readonly stdout?: (bytes: Buffer) => void;
  readonly stderr?: (bytes: Buffer) => void;
}

/** A boot takes 15 to 40 s on an idle machine. */
const BOOT_TIMEOUT_MS = 180_000;
const SETUP_TIMEOUT_MS = 60_000;
const POLL_MS = 40;

/** The guest did not come up, or went away: the bench's fault, not the tested program's. */
export class MachineError extends Error {
  override readonly name = "MachineError";
}

export class Machine {
  readonly #run: string;
  readonly #removeRun: Undo;
  readonly #qemu: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #qmp: Qmp;
  readonly #ctl: Socket;
  readonly #lines: string[] = [];
  readonly #environment: Readonly<Record<string, string>>;
  #jobs = 0;
  #alive = true;
  /** The guest's /dev/hvc0, when asked for. */
  readonly terminal: Socket | undefined;

  private constructor(
    run: string,
    removeRun: Undo,
    qemu: ChildProcess,
    layout: Layout,
    sockets: { qmp: Socket; ctl: Socket; terminal: Socket | undefined },
  ) {
    // emulation: what a test waits for takes longer
    this.#environment = { LXCFS_VM_LAYOUT: layout, LXCFS_TEST_PATIENCE: "8" };
    this.#run = run;
    this.#removeRun = removeRun;
    this.#qemu = qemu;
    this.#qmp = new Qmp(sockets.qmp);
    this.#ctl = sockets.ctl;
    this.terminal = sockets.terminal;
    this.#exited = new Promise((resolve) => {
      qemu.once("exit", () => {
        this.#alive = false;
        resolve();
      });
    });
    let rest = "";
    this.#ctl.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#lines.push(...lines.map((line) => line.trim()));
    });
    this.#ctl.on("error", () => {});
  }

  /** Starts a machine and waits until it can run jobs (until its agent waits, when saving). */
  static async start(options: MachineOptions): Promise<Machine> {
    const shares = (options.shares ?? []).map((share) => ({
      ...share,
      hostPath: realpathSync(share.hostPath),
    }));
    if (shares.length > MAX_SHARES) {
      throw new RangeError(`Cannot share ${shares.length} folders: at most ${MAX_SHARES}`);
    }
    const run = mkdtempSync(join(tmpdir(), "lxcfs-vm-"));
    const removeRun = guardWith(`rm -rf '${run}'`);
    mkdirSync(join(run, "ctl/jobs"), { recursive: true });
    mkdirSync(join(run, "empty"));
    copyFileSync(join(repository, "test/vm/guest/job"), join(run, "ctl/job"));
    writeFileSync(
      join(run, "ctl/shares"),
      shares
        .map((s, i) => `share${i} ${s.readOnly ? "ro" : "rw"} ${s.cache} ${s.guestPath}\n`)
        .join(""),
    );
    const terminal = options.terminal ?? false;
    const listeners = {
      qmp: firstConnection(join(run, "qmp")),
      ctl: firstConnection(join(run, "ctl.socket")),
      terminal: terminal ? firstConnection(join(run, "term")) : undefined,
    };
    const log = openSync(join(run, "qemu.log"), "w");
    const hardware = qemuArguments({
      layout: options.layout,
      start: options.start,
      images: options.images,
      state: options.state ?? "",
      run,
      shares,
      cpus: options.cpus ?? 4,
      memoryMib: options.memoryMib ?? 2048,
      swap: options.swap ?? true,
      moreKernelArguments: options.moreKernelArguments ?? "",
      terminal,
    });
    const wrapper = ["--pdeathsig", "KILL", "nice", "-n", process.env["LXCFS_VM_NICE"] ?? "5"];
    // its own process group: Ctrl-C in a terminal reaches this process, which then ends the machine
    const qemu = spawn("setpriv", [...wrapper, "qemu-system-x86_64", ...hardware], {
      stdio: ["ignore", log, log],
      env: { ...process.env, TMPDIR: run },
      detached: true,
    });
    closeSync(log);
    const died = new Promise<never>((_, reject) => {
      qemu.once("error", reject);
      qemu.once("exit", () => {
        reject(
          new MachineError(`QEMU ended early: ${readFileSync(join(run, "qemu.log"), "utf8")}`),
        );
      });
    });
    died.catch(() => {});
    try {
      const [qmp, ctl, term] = await Promise.race([
        Promise.all([listeners.qmp.socket, listeners.ctl.socket, listeners.terminal?.socket]),
        died,
      ]);
      const machine = new Machine(run, removeRun, qemu, options.layout, {
        qmp,
        ctl,
        terminal: term,
      });
      try {
        await machine.#comeUp(options);
        return machine;
      } catch (error) {
        await machine.stop();
        throw error;
      }
    } catch (error) {
      qemu.kill("SIGKILL");
      removeRun.run();
      throw error;
    } finally {
      for (const listener of Object.values(listeners)) listener?.close();
    }
  }

  async #comeUp(options: MachineOptions): Promise<void> {
    await this.#qmp.run("qmp_capabilities");
    if (options.start === "restore") {
      await this.#shareMemoryOnMigration();
      const file = quote(join(options.state ?? "", "devices"));
      await this.#qmp.run("migrate-incoming", { uri: `exec:cat ${file}` });
      await this.#until(SETUP_TIMEOUT_MS, "the saved state is restored", () => this.#isRunning());
    } else {
      await this.#line(BOOT_TIMEOUT_MS, "the guest's agent is ready", ["ready"]);
    }
    if (options.start === "save") return;
    this.#ctl.write(`setup ${(Date.now() / 1000).toFixed(3)}\n`);
    const line = await this.#line(SETUP_TIMEOUT_MS, "the shared folders are mounted", [
      "up",
      "failed",
    ]);
    if (line !== "up") throw new MachineError(`The guest cannot mount its shares: ${line}`);
  }

  async #isRunning(): Promise<boolean> {
    const status = (await this.#qmp.run("query-status")) as { status: string };
    return status.status === "running";
  }

  /** Memory is in a file of its own: only the devices go through the migration stream. */
  async #shareMemoryOnMigration(): Promise<void> {
    await this.#qmp.run("migrate-set-capabilities", {
      capabilities: [{ capability: "x-ignore-shared", state: true }],
    });
  }

  /** Writes the devices' state beside memory and disk. The machine stands still afterwards. */
  async save(state: string): Promise<void> {
    await this.#shareMemoryOnMigration();
    const file = quote(join(state, "devices"));
    await this.#qmp.run("migrate", { uri: `exec:cat > ${file}` });
    await this.#until(SETUP_TIMEOUT_MS, "the state is saved", async () => {
      const { status } = (await this.#qmp.run("query-migrate")) as { status: string };
      if (status === "failed") throw new MachineError("QEMU could not save its state");
      return status === "completed";
    });
  }

  /**
   * Runs a command as root in the guest and gives its exit status, its output streaming meanwhile.
   * One process, no shell: for shell syntax run `sh -c`.
   */
  async job(command: readonly string[], options: JobOptions = {}): Promise<number> {
    const id = String(++this.#jobs);
    const folder = join(this.#run, "ctl/jobs", id);
    mkdirSync(folder);
    writeFileSync(join(folder, "out"), "");
    writeFileSync(join(folder, "err"), "");
    const given = { ...this.#environment, ...options.env };
    const lines = Object.entries(given).map(([k, v]) => `export ${k}=${quote(v)}`);
    if (options.cwd !== undefined) lines.unshift(`cd ${quote(options.cwd)} || exit 126`);
    lines.push(`exec ${command.map(quote).join(" ")}`);
    writeFileSync(join(folder, "cmd"), `${lines.join("\n")}\n`);
    const out = follow(join(folder, "out"), options.stdout ?? ((b) => process.stdout.write(b)));
    const err = follow(join(folder, "err"), options.stderr ?? ((b) => process.stderr.write(b)));
    this.#ctl.write(`job ${id}\n`);
    const end = options.timeoutMs === undefined ? Infinity : Date.now() + options.timeoutMs;
    let killedAt: number | undefined;
    try {
      for (;;) {
        const done = existsSync(join(folder, "rc"));
        out.more();
        err.more();
        if (done) {
          const status = Number(readFileSync(join(folder, "rc"), "utf8"));
          return killedAt === undefined ? status : 124;
        }
        if (!this.#alive) throw new MachineError(`The guest went away\n${this.consoleTail()}`);
        if (killedAt === undefined && Date.now() > end) {
          killedAt = Date.now();
          this.#ctl.write(`kill ${id}\n`);
        }
        if (killedAt !== undefined && Date.now() > killedAt + 15_000) return 124;
        await sleep(POLL_MS);
      }
    } finally {
      out.close();
      err.close();
    }
  }

  /** CPU time of the host that the machine has taken so far. Grows less with the host's load than time. */
  cpuSeconds(): number {
    try {
      const stat = readFileSync(`/proc/${this.#qemu.pid}/stat`, "latin1");
      // user and system time in ticks of 10 ms: fields 14 and 15, proc(5)
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / 100;
    } catch {
      return Number.NaN;
    }
  }

  /** The last of what the guest's kernel said. */
  consoleTail(): string {
    const path = join(this.#run, "console.log");
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(-15).join("\n") : "";
  }

  /** Ends the machine; its disks and folder are gone afterwards. Never fails. */
  async stop(): Promise<void> {
    if (this.#alive) {
      this.#qemu.kill("SIGTERM");
      const timer = setTimeout(() => this.#qemu.kill("SIGKILL"), 3_000);
      await this.#exited;
      clearTimeout(timer);
    }
    this.#ctl.destroy();
    this.terminal?.destroy();
    this.#removeRun.run();
  }

  /** Waits for a line from the agent that starts with one of these words. */
  async #line(timeoutMs: number, what: string, words: readonly string[]): Promise<string> {
    let found: string | undefined;
    await this.#until(timeoutMs, what, async () => {
      found = this.#lines.find((line) => words.some((word) => line.startsWith(word)));
      return found !== undefined;
    });
    this.#lines.length = 0;
    return found ?? "";
  }

  async #until(timeoutMs: number, what: string, test: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!(await test())) {
      const why = this.#alive ? undefined : "QEMU ended";
      if (why !== undefined || Date.now() > end) {
        const log = readFileSync(join(this.#run, "qemu.log"), "utf8");
        throw new MachineError(
          `Waited ${timeoutMs / 1000} s at most until ${what}, in vain: ${why ?? "timeout"}\n` +
            `${log}${this.consoleTail()}`,
        );
      }
      await sleep(POLL_MS);
    }
  }
}

/** Listens on a path; QEMU connects to it as it starts. */
function firstConnection(path: string): { socket: Promise<Socket>; close: () => void } {
  const server = createServer().listen(path);
  const socket = new Promise<Socket>((resolve, reject) => {
    server.once("connection", resolve).once("error", reject);
  });
  socket.catch(() => {});
  return { socket, close: () => void server.close() };
}

/** Hands on what is appended to a file. */
function follow(path: string, sink: (bytes: Buffer) => void): { more(): void; close(): void } {
  const fd = openSync(path, "r");
  let offset = 0;
  return {
    more() {
      for (;;) {
        const chunk = Buffer.allocUnsafe(1 << 16);
        const length = readSync(fd, chunk, 0, chunk.length, offset);
        if (length === 0) return;
        offset += length;
        sink(chunk.subarray(0, length));
      }
    },
    close: () => closeSync(fd),
  };
}
