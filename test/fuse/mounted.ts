/**
 * A mounted sample filesystem for one test. This process keeps the descriptor, a child process
 * serves, others read: nothing here ever touches the mount itself, so no test can hang on it.
 */
import { type ChildProcess, execFile, fork } from "node:child_process";
import { closeSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { mountFuse, openFuseDevice, unmountFuse } from "../../src/fuse/index.ts";
import type { MountOptions, Negotiated } from "../../src/fuse/index.ts";
import { guardWith } from "../support/guard.ts";
import { waitFor } from "../support/wait.ts";
import type { Ask, ServerOptions } from "./server.ts";

const execute = promisify(execFile);

export interface Said {
  stdout: string;
  stderr: string;
  code: number;
}

/** A serving process. */
export class Server {
  readonly child: ChildProcess;
  readonly negotiated: Promise<Negotiated>;
  readonly #online: Promise<void>;
  #answer: ((result: unknown) => void) | undefined;

  constructor(fd: number, options: ServerOptions) {
    this.child = fork(new URL("server.js", import.meta.url), [JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit", "ipc", fd],
    });
    let negotiated: (value: Negotiated) => void;
    let online: () => void;
    this.negotiated = new Promise((resolve) => (negotiated = resolve));
    this.#online = new Promise((resolve) => (online = resolve));
    this.child.on("message", (message: Record<string, unknown>) => {
      if ("negotiated" in message) negotiated(message["negotiated"] as Negotiated);
      if ("online" in message) online();
      if ("result" in message) this.#answer?.(message["result"]);
    });
  }

  async online(): Promise<this> {
    await this.#online;
    return this;
  }

  ask(question: { ask: "words" }): Promise<number[]>;
  ask(question: Ask): Promise<number>;
  async ask(question: Ask): Promise<unknown> {
    const answer = new Promise((resolve) => (this.#answer = resolve));
    this.child.send(question);
    return answer;
  }

  async word(index: number): Promise<number> {
    return (await this.ask({ ask: "words" }))[index] ?? NaN;
  }

  /** @returns its exit code, or the signal that ended it */
  async ended(): Promise<number | string | null> {
    const { child } = this;
    await waitFor("server to end", () => child.exitCode !== null || child.signalCode !== null);
    return child.exitCode ?? child.signalCode;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended();
  }
}

export class Mounted {
  readonly path: string;
  readonly fd: number;
  server: Server;

  private constructor(path: string, fd: number, server: Server) {
    this.path = path;
    this.fd = fd;
    this.server = server;
  }

  static async start(
    options: ServerOptions,
    mountOptions: Partial<MountOptions> = {},
  ): Promise<Mounted> {
    const path = mkdtempSync(join(tmpdir(), "lxcfs-fuse-"));
    guardWith(`umount -l '${path}'; rmdir '${path}'`);
    const fd = openFuseDevice();
    mountFuse({ subtype: "sample", ...mountOptions, fd, mountpoint: path });
    return new Mounted(path, fd, await new Server(fd, options).online());
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Another server on the same connection. */
  async serveAgain(options: ServerOptions): Promise<Server> {
    this.server = await new Server(this.fd, options).online();
    return this.server;
  }

  /** Unmounts; the server must then end by itself, without an error. */
  async stop(): Promise<void> {
    if (!unmountFuse(this.path)) throw new Error(`${this.path} was not mounted any more`);
    closeSync(this.fd);
    const code = await this.server.ended();
    rmdirSync(this.path);
    if (code !== 0) throw new Error(`The server ended with ${code}`);
  }
}

/** Runs a program beside this process; `code` is its exit code, or 128 plus the signal's number. */
export async function outside(
  program: string,
  args: readonly string[],
  timeoutMs = 20_000,
): Promise<Said> {
  try {
    const options = { timeout: timeoutMs, killSignal: "SIGKILL" as const, maxBuffer: 64 << 20 };
    const { stdout, stderr } = await execute(program, args, { ...options, encoding: "latin1" });
    return { stdout, stderr, code: 0 };
  } catch (error) {
    const failed = error as { stdout?: string; stderr?: string; code?: number; signal?: string };
    if (failed.stdout === undefined) throw error;
    const code = failed.code ?? (failed.signal === "SIGKILL" ? 137 : 255);
    return { stdout: failed.stdout, stderr: failed.stderr ?? "", code };
  }
}

export function cat(path: string): Promise<Said> {
  return outside("cat", [path]);
}

/** Runs `script` with `$1` being `path`. */
export function sh(script: string, path: string): Promise<Said> {
  return outside("sh", ["-c", script, "sh", path]);
}
