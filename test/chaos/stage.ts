/** What a fault is done to: the processes of one mount, and the witnesses that read through it. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tryRun } from "../support/run.ts";
import { lxcfsCommand } from "../support/project.ts";
import { Server } from "../support/server.ts";
import { waitFor } from "../support/wait.ts";
import type { Status } from "../../src/daemon/status.ts";
import { Witnesses } from "./witnesses.ts";

export class Stage {
  readonly server: Server;
  readonly witnesses: Witnesses;
  /** Whether this is the full length, or the short one of the ordinary tests. */
  readonly full: boolean;

  private constructor(server: Server, witnesses: Witnesses, full: boolean) {
    this.server = server;
    this.witnesses = witnesses;
    this.full = full;
  }

  static async set(full: boolean): Promise<Stage> {
    const server = await Server.start();
    try {
      return new Stage(server, await Witnesses.start(server.mountpoint), full);
    } catch (error) {
      server.kill();
      throw error;
    }
  }

  get pidfile(): string {
    return join(this.server.directory, "lxcfs.pid");
  }

  get runtimeDir(): string {
    return join(this.server.directory, "run");
  }

  get holderPid(): number {
    return Number(readFileSync(this.pidfile, "latin1"));
  }

  /** The child of the holder that serves, or is about to; nothing while there is none. */
  get serverPid(): number | undefined {
    return serversOf(this.holderPid).at(-1);
  }

  /** Waits for a server, should it just have been replaced. */
  aServer(): Promise<number> {
    return waitFor("a server", () => this.serverPid, 30_000, 1);
  }

  status(): Status | undefined {
    const argv = [lxcfsCommand, "status", this.server.mountpoint, "--json"];
    const { status, stdout } = tryRun([...argv, "--runtime-dir", this.runtimeDir]);
    return status === 0 ? (JSON.parse(stdout) as Status) : undefined;
  }

  statusWhen(what: string, wanted: (status: Status) => boolean): Promise<Status> {
    const found = (): Status | undefined => {
      const status = this.status();
      return status !== undefined && wanted(status) ? status : undefined;
    };
    return waitFor(what, found, 60_000, 50);
  }

  /** The same command again, as a supervisor starts it. */
  startAgain(): ChildProcess {
    const child = spawn(
      lxcfsCommand,
      ["-f", "-p", this.pidfile, "--runtime-dir", this.runtimeDir, this.server.mountpoint],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.server.output += text));
    return child;
  }

  /** Waits until a read at the mountpoint is answered. @returns how long that took, in milliseconds */
  async answered(): Promise<number> {
    const startMs = performance.now();
    await waitFor("an answer", () => this.server.answersNow(), 30_000, 1);
    return performance.now() - startMs;
  }

  clear(): void {
    this.witnesses.stop();
    this.server.kill();
  }
}

/** Children of the holder that are servers: the other kind is a `sleep`. */
function serversOf(holderPid: number): number[] {
  try {
    const children = readFileSync(`/proc/${holderPid}/task/${holderPid}/children`, "latin1");
    return children.trim().split(" ").filter(Boolean).map(Number).filter(isServer);
  } catch {
    return [];
  }
}

function isServer(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("\0serve\0");
  } catch {
    return false;
  }
}
