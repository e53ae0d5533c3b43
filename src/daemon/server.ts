/**
 * The server: the process that answers. Its main thread keeps the event loop for signals, the
 * watchdog and the services; worker threads serve. It may die at any instruction: the holder starts
 * another, which goes on with the same connection and the same shared memory.
 */
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { isAlive } from "../host/process_alive.ts";
import { errnoOf } from "../sys/errno.ts";
import { canGive, isExhaustion, onShortage } from "../sys/exhaustion.ts";
import { exitNow, setInherit } from "../sys/native.ts";
import { Logger } from "../sys/log.ts";
import { spares } from "../sys/spares.ts";
import { ensureCacheSizes } from "./cache_sizes.ts";
import { CachedConnection, isCachedServed } from "./cached_connection.ts";
import { Backlog, ensureBacklog } from "./backlog.ts";
import type { DaemonConfig } from "./config.ts";
import { ensureCounters } from "./counters.ts";
import { ensureFilesystemMemory } from "./filesystem_memory.ts";
import { HostNamespace } from "./host_namespace.ts";
import { ensureNegotiated } from "./negotiated.ts";
import type { Services } from "./services.ts";
import { type Connection, ensureSlots } from "./slots.ts";
import { openState, type SharedState } from "./state.ts";
import { ensureTopReaders } from "./top_readers.ts";
import { abandonedSlots, WorkerPool } from "./workers.ts";

/**
 * Why this server was started: for a new mount, for one that died, beside one that it is to relieve
 * (upgrade), or beside one whose holder died (takeover).
 */
export const ROLES = ["first", "restart", "upgrade", "takeover"] as const;
export type Role = (typeof ROLES)[number];

/** How long requests in flight may hold up an orderly end, and how often they are looked for. */
const DRAIN_MS = 2000;
const DRAIN_LOOK_MS = 5;
/** After so long without a request the threads that are left wait for one. */
const QUIET_MS = 50;
/** How often a relieved predecessor is looked for, and once it has taken too long. */
const PREDECESSOR_LOOK_MS = 10;
const PREDECESSOR_MS = 10_000;
const LATE_PREDECESSOR_LOOK_MS = 1000;
/** More threads than this cost memory (10 MB each) and answer no more requests. */
const MAX_DEFAULT_WORKERS = 3;

export class Server {
  readonly #config: DaemonConfig;
  readonly #role: Role;
  readonly #version: string;
  readonly #log: Logger;
  readonly #host: HostNamespace;
  readonly #state: SharedState;
  readonly #generation: number;
  readonly #predecessor: number;
  readonly #pool: WorkerPool;
  #services: Promise<Services> | undefined;
  #cached: CachedConnection | undefined;
  /** What has to be served before this server is ready. */
  readonly #waitsFor = new Set<Connection>(["main"]);
  #ready = false;
  #ending = false;

  constructor(config: DaemonConfig, role: Role, version: string) {
    this.#config = config;
    this.#role = role;
    this.#version = version;
    this.#log = new Logger(config.logLevel);
    canGive(() => spares.give());
    this.#host = HostNamespace.leave(config.view, this.#log);
    this.#state = openState(config.stateFd);
    onShortage(() => this.#state.add("descriptorShortages"));
    // What we start must not keep the connection open; the holder's own descriptors stay as they are.
    setInherit(config.fuseFd, false);
    setInherit(config.stateFd, false);
    if (config.cachedFd >= 0) setInherit(config.cachedFd, false);
    if (config.lockFd >= 0) closeSync(config.lockFd);
    this.#predecessor = this.#isAlone ? 0 : this.#state.get("serverPid");
    this.#generation = this.#state.add("generation");
    ensureSlots(this.#state);
    ensureBacklog(this.#state);
    if (this.#isAlone) new Backlog(this.#state).restore();
    ensureCounters(this.#state);
    ensureTopReaders(this.#state);
    ensureCacheSizes(this.#state);
    ensureNegotiated(this.#state);
    ensureFilesystemMemory(this.#state);
    this.#pool = new WorkerPool("main", config, this.#state, this.#generation, this.#log, {
      ready: (replayed) => {
        if (replayed > 0) this.#state.add("replays", replayed);
        if (this.#waitsFor.has("cached") && this.#cached === undefined) this.#beginCached();
        this.#onServing("main");
      },
      unmounted: () => this.#onUnmounted(),
      failed: (cause) => this.fail(cause),
    });
  }

  /** Whether no other server of this mount lives. */
  get #isAlone(): boolean {
    return this.#role === "first" || this.#role === "restart";
  }

  /** Serves until told to end. @throws Error if that cannot be begun */
  async start(): Promise<void> {
    this.#listenToSignals();
    if (this.#state.get("protocolMajor") === 0) {
      const { handshake } = await import("./handshake.ts");
      const idmap = !this.#config.view.cgroupTree;
      handshake("main", this.#config.fuseFd, idmap, this.#state, this.#generation, this.#log);
    }
    if (this.#role === "restart") {
      this.#log.warn("the server before this one died; its requests are executed again", {
        restarts: this.#state.add("restarts"),
      });
    }
    const count =
      this.#config.workers || Math.min(MAX_DEFAULT_WORKERS, Math.max(2, availableParallelism()));
    const inherited = this.#isAlone ? abandonedSlots(this.#state, this.#generation, "main") : [];
    this.#pool.start(inherited, this.#role === "upgrade");
    if (this.#config.cachedFd >= 0 && isCachedServed(this.#state, this.#generation)) {
      this.#waitsFor.add("cached");
      // Its readers wait. Beside a predecessor it is begun once this version has tested itself.
      if (this.#isAlone) this.#beginCached();
    }
    this.#services = this.#loadServices(count - 1);
    await this.#services;
  }

  /**
   * Ends this process because it cannot serve. The holder starts another, or, if this one was to
   * relieve another, that one goes on serving.
   */
  fail(cause: string): never {
    if (this.#role === "upgrade" && !this.#ready) {
      this.#state.setText("upgradeError", cause);
      this.#state.add("failedUpgrades");
      this.#log.error("the upgrade failed; the version before goes on serving", { cause });
    } else {
      this.#log.error("cannot serve", { cause });
    }
    // A thread may wait in the kernel: an ordinary exit would wait for it.
    exitNow(1);
  }

  /**
   * Something threw and nobody caught it. What the main thread does for want of descriptors it does
   * not do this time, and another time again; readers get their answers meanwhile.
   */
  uncaught(thrown: unknown): void {
    const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    if (!this.#ready || !isExhaustion(errnoOf(thrown))) this.fail(cause);
    this.#log.warn("no descriptor was free", { cause });
  }

  /** Loaded while the threads start; begun once one of them serves. */
  async #loadServices(furtherThreads: number): Promise<Services> {
    const modules = await import("./services.ts");
    while (!this.#ready) await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    this.#pool.grow(furtherThreads);
    if (this.#role === "restart") modules.resend(this.#config, this.#state, this.#log);
    if (this.#config.heal && this.#role === "first") {
      const { healContainers } = await import("./healing.ts");
      healContainers(this.#config, this.#state, this.#host, this.#log);
    }
    if (this.#config.cachedFd >= 0 && this.#cached === undefined) this.#beginCached();
    const services = await modules.Services.begin(
      this.#config,
      this.#state,
      this.#host,
      this.#log,
      () => this.#pool.size,
    );
    this.#host.detach();
    return services;
  }

  #beginCached(): void {
    this.#cached = new CachedConnection(
      this.#config,
      this.#state,
      this.#generation,
      this.#host,
      this.#log,
    );
    this.#cached.begin(this.#isAlone, () => this.#onServing("cached"));
  }

  /** Ready is who serves everything that was served before. */
  #onServing(connection: Connection): void {
    this.#waitsFor.delete(connection);
    if (this.#ready || this.#waitsFor.size > 0) return;
    this.#ready = true;
    this.#state.set("serverPid", process.pid);
    this.#state.set("holderPid", process.ppid);
    this.#state.setText("version", this.#version);
    if (this.#role === "upgrade") {
      this.#state.add("upgrades");
      this.#state.setText("upgradeError", "");
    }
    // "I serve now": the holder relieves the one before.
    process.kill(process.ppid, "SIGURG");
    this.#log.info("serving", {
      mountpoint: this.#config.mountpoint,
      version: this.#version,
      role: this.#role,
    });
    if (this.#predecessor > 0) this.#inheritWhenGone();
  }

  /**
   * Once the relieved predecessor has ended, what it left unanswered is executed here. One that was
   * killed while a thread of its waits in the kernel may take as long as that.
   */
  #inheritWhenGone(): void {
    const untilMs = performance.now() + PREDECESSOR_MS;
    let warned = false;
    const look = (): void => {
      if (!isAlive("/proc", this.#predecessor)) {
        this.#pool.recover(abandonedSlots(this.#state, this.#generation, "main"));
        this.#cached?.recover();
        return;
      }
      if (!warned && performance.now() >= untilMs) {
        warned = true;
        this.#log.warn("the server before this one does not end", { pid: this.#predecessor });
      }
      setTimeout(look, warned ? LATE_PREDECESSOR_LOOK_MS : PREDECESSOR_LOOK_MS);
    };
    look();
  }

  #listenToSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => void this.#unmountAndEnd());
    }
    process.on("SIGUSR2", () => {
      const hostView = this.#state.get("hostView") === 0 ? 1 : 0;
      this.#state.set("hostView", hostView);
      this.#log.info(
        hostView ? "all callers see the host's values" : "callers see their own values",
      );
    });
    // Sent to the server, though meant for the holder.
    process.on("SIGUSR1", () => process.kill(process.ppid, "SIGUSR1"));
    process.on("SIGURG", () => {
      this.#log.info("relieved by another server");
      this.#drain();
    });
  }

  /** TERM: the mount goes, and with it the holder. */
  async #unmountAndEnd(): Promise<void> {
    // Before there are any: a bad end has the holder take the mount away.
    if (this.#services === undefined) exitNow(1);
    const services = await this.#services;
    this.#cached?.unmount();
    services.end();
    this.#drain();
  }

  /** The kernel says that the filesystem is gone, or that the connection was aborted. */
  #onUnmounted(): void {
    if (this.#ending) return;
    this.#log.info("unmounted");
    void this.#unmountAndEnd();
  }

  /**
   * Ends once what was read is answered: a thread ends after the request it is at, but one that waits
   * for a request stays in the kernel, so a short quiet counts as the end too. What one of them may
   * take in the very last moment is in its slot, and the successor executes it.
   */
  #drain(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#pool.stop();
    this.#cached?.stop();
    const startMs = performance.now();
    let busyMs = startMs;
    const look = (): void => {
      const nowMs = performance.now();
      if (this.#pool.inFlight > 0 || (this.#cached?.inFlight ?? 0) > 0) busyMs = nowMs;
      if (this.#pool.size === 0 || nowMs - busyMs > QUIET_MS || nowMs - startMs > DRAIN_MS) {
        exitNow(0);
      }
      setTimeout(look, DRAIN_LOOK_MS);
    };
    look();
  }
}
