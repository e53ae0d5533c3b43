/**
 * The control socket of a mount: one JSON line asks, one JSON line answers.
 *
 *     {"ask":"status"}
 *     {"ok":true,"answer":{"mountpoint":"/var/lib/lxcfs",...}}
 */
import { rmSync, statSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import type { HostNamespace } from "./host_namespace.ts";
import { listen } from "./listen.ts";
import type { Status } from "./status.ts";

/** What may be asked, and who answers. */
export interface ControlHandlers {
  status(): Status;
}

/** A question longer than this is no question. */
const MAX_LINE_BYTES = 4096;
/** How often it is seen to that the socket can still be found. */
const CHECK_MS = 2000;

/** Listens for as long as the server lives, also after somebody has emptied or replaced the directory. */
export class ControlServer {
  readonly #path: string;
  readonly #log: Logger;
  readonly #handlers: ControlHandlers;
  readonly #host: HostNamespace;
  #server: Server | undefined;
  /** Of the socket, if it listens: a dead server's may lie at the same path. */
  #inode: number | undefined;
  readonly #timer: NodeJS.Timeout;

  constructor(config: DaemonConfig, host: HostNamespace, log: Logger, handlers: ControlHandlers) {
    this.#path = config.controlSocket;
    this.#host = host;
    this.#log = log;
    this.#handlers = handlers;
    this.#listen();
    this.#timer = setInterval(() => {
      const found = host.inside(() => statSync(this.#path, { throwIfNoEntry: false }));
      if (this.#inode === undefined || found?.ino !== this.#inode) this.#listen();
    }, CHECK_MS);
    this.#timer.unref();
  }

  /** Takes the socket away: the mount ends. */
  remove(): void {
    clearInterval(this.#timer);
    this.#host.inside(() => rmSync(this.#path, { force: true }));
  }

  #listen(): void {
    this.#server?.close();
    const server = createServer((socket) => this.#answer(socket));
    this.#server = server;
    this.#host.inside(() => {
      listen(server, { path: this.#path }, (error) => {
        this.#log.warn("no control socket", { path: this.#path, cause: error.message });
      });
      const found = server.listening && statSync(this.#path, { throwIfNoEntry: false });
      this.#inode = found ? found.ino : undefined;
    });
  }

  #answer(socket: Socket): void {
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(5000, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: string) => {
      text += chunk;
      const end = text.indexOf("\n");
      if (end < 0) {
        if (text.length > MAX_LINE_BYTES) socket.destroy();
        return;
      }
      socket.end(`${JSON.stringify(this.#reply(text.slice(0, end)))}\n`);
    });
  }

  #reply(line: string): unknown {
    try {
      const { ask } = JSON.parse(line) as { ask?: unknown };
      if (ask === "status") return { ok: true, answer: this.#handlers.status() };
      return { ok: false, error: `unknown question ${JSON.stringify(ask)}` };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** Asks the server behind `socketPath` for its status. @throws Error if nobody answers in time */
export function askStatus(socketPath: string, timeoutMs = 3000): Promise<Status> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let text = "";
    socket.setEncoding("utf8");
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new Error(`Cannot ask ${socketPath}: no answer within ${timeoutMs} ms`));
    });
    socket.on("connect", () => socket.write('{"ask":"status"}\n'));
    socket.on("error", reject);
    socket.on("data", (chunk: string) => (text += chunk));
    socket.on("end", () => {
      try {
        const reply = JSON.parse(text) as { ok: boolean; answer: Status; error?: string };
        if (reply.ok) resolve(reply.answer);
        else reject(new Error(`Cannot ask ${socketPath}: ${reply.error ?? "it refuses"}`));
      } catch (error) {
        reject(new Error(`Cannot ask ${socketPath}: ${String(error)}`));
      }
    });
  });
}
