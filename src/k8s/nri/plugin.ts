/**
 * A plugin for the Node Resource Interface of containerd (1.7 and up) and CRI-O (1.26 and up): told
 * of every container that is about to start, it gives it its files. At that moment, the event
 * StartContainer, the container's init exists with all its mounts, and has not yet executed the
 * user's program; what is mounted then was there from the first instruction on, and the runtime's
 * own rules for mounts in a container's specification do not apply.
 *
 * A container is never kept from starting: what goes wrong is logged and counted.
 */
import { createConnection } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../sys/log.ts";
import type { ContainerEvent, NriContainer, PodSandbox } from "./messages.ts";
import * as messages from "./messages.ts";
import { Mux, PLUGIN_CONNECTION, RUNTIME_CONNECTION } from "./mux.ts";
import { RpcClient, serveRpc } from "./ttrpc.ts";

/** What the plugin is given. */
export interface NriOptions {
  /** The runtime's socket; asked for before each connection. */
  socketPath(): string;
  /** Called for each container that starts or runs already; its answer lets the container start. */
  onContainer(pod: PodSandbox, container: NriContainer): Promise<void>;
  log: Logger;
  nowMs?: () => number;
}

const PLUGIN_NAME = "lxcfs";
/** Plugins are called in the order of their index; late, when others have made their mounts. */
const PLUGIN_INDEX = "90";
const REGISTER_TIMEOUT_MS = 5000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;
/** The runtime's own default, where it does not say. */
const REQUEST_TIMEOUT_MS = 2000;
/** How much of the runtime's patience is used at most. */
const ANSWER_SHARE = 0.75;

/** A connection to the runtime that is made again whenever it is lost. */
export class NriPlugin {
  readonly #options: NriOptions;
  readonly #nowMs: () => number;
  readonly #running = new Set<{ startedMs: number }>();
  #socket: Socket | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retry: NodeJS.Timeout | undefined;
  #synchronized = false;
  #requestTimeoutMs = REQUEST_TIMEOUT_MS;
  #stopped = false;

  constructor(options: NriOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Registered, and told what runs: from now on no container starts unseen. */
  get ready(): boolean {
    return this.#synchronized;
  }

  /** False if a container has been in work for more than twice what the runtime waits. */
  get healthy(): boolean {
    const limitMs = this.#nowMs() - 2 * this.#requestTimeoutMs;
    return [...this.#running].every(({ startedMs }) => startedMs >= limitMs);
  }

  /** Connects, and keeps connected until `stop`. */
  start(): void {
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
  }

  #connect(): void {
    const { log } = this.#options;
    const socketPath = this.#options.socketPath();
    const socket = createConnection(socketPath);
    this.#socket = socket;
    socket.on("connect", () => {
      this.#register(socket).catch((error: unknown) => {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      });
    });
    socket.on("error", (error) => {
      log.warn("connection to the runtime failed", { socket: socketPath, error: error.message });
    });
    socket.on("close", () => {
      this.#synchronized = false;
      if (this.#stopped) return;
      this.#retry = setTimeout(() => this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    });
  }

  async #register(socket: Socket): Promise<void> {
    const mux = new Mux(socket);
    const known = new Map<string, PodSandbox>();
    // Runtimes send events as StateChange up to some version, and as calls of their own from then on.
    const startContainer = async (payload: Buffer) => {
      await this.#beginInTime(messages.decodeContainerRequest(payload));
      return Buffer.alloc(0);
    };
    serveRpc(mux.open(PLUGIN_CONNECTION), messages.PLUGIN_SERVICE, {
      Configure: (payload) => {
        const request = messages.decodeConfigure(payload);
        this.#requestTimeoutMs = request.requestTimeoutMs || REQUEST_TIMEOUT_MS;
        const { runtimeName, runtimeVersion } = request;
        this.#options.log.info("runtime connected", { runtimeName, runtimeVersion });
        return messages.encodeConfigureResponse([messages.EVENT.START_CONTAINER]);
      },
      Synchronize: (payload) => {
        const request = messages.decodeSynchronize(payload);
        for (const pod of request.pods) known.set(pod.id, pod);
        // Not awaited: the runtime is waiting, and what runs already has waited longer.
        for (const container of request.containers) {
          if (container.state !== messages.CONTAINER_RUNNING) continue;
          void this.#begin({ event: 0, pod: known.get(container.podSandboxId), container });
        }
        if (!request.more) this.#synchronized = true;
        this.#retryMs = FIRST_RETRY_MS;
        return messages.encodeSynchronizeResponse(request.more);
      },
      StateChange: async (payload) => {
        const event = messages.decodeStateChange(payload);
        if (event.event === messages.EVENT.START_CONTAINER) await this.#beginInTime(event);
        return Buffer.alloc(0);
      },
      StartContainer: startContainer,
      Shutdown: () => {
        this.#options.log.info("runtime shuts down");
        return Buffer.alloc(0);
      },
    });
    const runtime = new RpcClient(mux.open(RUNTIME_CONNECTION), messages.RUNTIME_SERVICE);
    const registration = messages.encodeRegisterPlugin(PLUGIN_NAME, PLUGIN_INDEX, "");
    await runtime.call("RegisterPlugin", registration, REGISTER_TIMEOUT_MS);
  }

  /**
   * As `#begin`, but an answer is given before the runtime loses patience: it would close the
   * connection, and with it what other containers wait for. What is late is finished all the same.
   */
  async #beginInTime(event: ContainerEvent): Promise<void> {
    const begun = this.#begin(event);
    const limit = new AbortController();
    const late = sleep(this.#requestTimeoutMs * ANSWER_SHARE, "late", limit).catch(() => "");
    if ((await Promise.race([begun, late])) === "late") {
      const pod = `${event.pod?.namespace}/${event.pod?.name}`;
      this.#options.log.warn("container starts before it is attached", { pod });
    }
    limit.abort();
  }

  /** Never rejects: no container is to be kept from starting. */
  async #begin({ pod, container }: ContainerEvent): Promise<void> {
    if (!pod || !container) return;
    const running = { startedMs: this.#nowMs() };
    this.#running.add(running);
    try {
      await this.#options.onContainer(pod, container);
    } catch (error) {
      this.#options.log.error("container was not attached", {
        pod: `${pod.namespace}/${pod.name}`,
        container: container.name,
        error: String(error),
      });
    } finally {
      this.#running.delete(running);
    }
  }
}
