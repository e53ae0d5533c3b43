/**
 * This machine once more, for packages to be installed on: an overlay over its root directory, in
 * namespaces of its own. What is installed, removed and started there is seen nowhere else, and all
 * of it is gone with the last process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guardWith, type Undo } from "../support/guard.ts";
import { type Result, tryRun } from "../support/run.ts";
import { waitFor } from "../support/wait.ts";

/** A copy of the machine, in which commands run as on it. */
export class OverlayMachine {
  /** Seen from the host, and at the same path inside: for files that go in. */
  readonly directory: string;
  readonly #init: ChildProcess;
  readonly #pid: number;
  readonly #undo: Undo;

  private constructor(directory: string, init: ChildProcess, pid: number, undo: Undo) {
    this.directory = directory;
    this.#init = init;
    this.#pid = pid;
    this.#undo = undo;
  }

  static async start(): Promise<OverlayMachine> {
    const directory = mkdtempSync(join(tmpdir(), "lxcfs-overlay-"));
    const layers = join(directory, "layers");
    mkdirSync(layers);
    mkdirSync(join(directory, "exchange"));
    const undo = guardWith(`rm -rf --one-file-system '${directory}'`);
    // The layers lie on a filesystem of memory: an overlay cannot lie on an overlay.
    const script = `
      mount -t tmpfs layers ${layers}
      mkdir ${layers}/upper ${layers}/work ${layers}/root
      root=${layers}/root
      mount -t overlay overlay -o lowerdir=/,upperdir=${layers}/upper,workdir=${layers}/work $root
      mount --rbind /dev $root/dev
      mount -t sysfs sysfs $root/sys && mount --rbind /sys/fs/cgroup $root/sys/fs/cgroup
      mount -t tmpfs run $root/run && mount -t tmpfs tmp $root/tmp
      mkdir -p $root${directory}/exchange && mount --bind ${directory}/exchange $root${directory}/exchange
      mkdir $root/old
      cd $root && pivot_root . old && mount -t proc proc /proc && umount -l /old
      # Services are not to be started, and no other package is a subject of this.
      printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d
      echo ready
      exec sleep infinity`;
    const init = spawn(
      "setpriv",
      [
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--propagation",
        "private",
        "sh",
        "-ec",
        script,
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let said = "";
    for (const stream of [init.stdout, init.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (said += text));
    }
    try {
      await waitFor("the overlay machine starts", () => {
        if (init.exitCode !== null) throw new Error(`It ended: ${said}`);
        return said.includes("ready");
      });
      const children = tryRun(["cat", `/proc/${init.pid}/task/${init.pid}/children`]).stdout;
      return new OverlayMachine(directory, init, Number(children.trim().split(" ")[0]), undo);
    } catch (error) {
      init.kill("SIGKILL");
      undo.run();
      throw error;
    }
  }

  /** For files that go in or out: the same path inside and outside. */
  get exchange(): string {
    return join(this.directory, "exchange");
  }

  command(argv: readonly string[]): string[] {
    return ["nsenter", "-t", String(this.#pid), "-m", "-p", "--", ...argv];
  }

  /** Runs `script` in a shell inside. */
  sh(script: string, timeoutMs = 60_000): Result {
    return tryRun(this.command(["sh", "-c", script]), {
      timeoutMs,
      environment: { DEBIAN_FRONTEND: "noninteractive" },
    });
  }

  /** Starts `argv` inside and leaves it running; it ends with the machine at the latest. */
  spawn(argv: readonly string[]): ChildProcess {
    const [program = "", ...rest] = this.command(argv);
    return spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"] });
  }

  async stop(): Promise<void> {
    // Its first process takes all others with it.
    try {
      process.kill(this.#pid, "SIGKILL");
    } catch {
      // It has ended before.
    }
    await waitFor(
      "the overlay machine ends",
      () => this.#init.exitCode !== null || this.#init.signalCode !== null,
    ).catch(() => this.#init.kill("SIGKILL"));
    this.#undo.run();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
