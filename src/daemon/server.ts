/**
 * The server: the process that answers. Its main thread keeps the event loop for signals, the
 * watchdog and the control socket; worker threads serve. It may die at any instruction: the holder
 * starts another, which goes on with the same connection and the same shared memory.
 */
import { closeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { DeviceChannel } from "../fuse/channel.ts";
import { Notifier } from "../fuse/notify.ts";
import { hasFlag, InitFlag } from "../fuse/wire/abi.ts";
import { exitNow, MNT, setInherit, umount } from "../sys/native.ts";
import { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import { ControlServer } from "./control.ts";
import { Counters, ensureCounters } from "./counters.ts";
import { Engine } from "./engine.ts";
import { ensureFilesystem } from "./filesystem.ts";
import { watchHolder } from "./holder_watch.ts";
import { MOUNT_TYPE, mountTypeAt } from "./mountpoint.ts";
import { ensureNegotiated, negotiatedOf } from "./negotiated.ts";
import { ensureSlots, takeSlot } from "./slots.ts";
import { openState, type SharedState } from "./state.ts";
import { statusOf } from "./status.ts";
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
/** How often a relieved predecessor is looked for, and for how long. */
const PREDECESSOR_LOOK_MS = 10;
const PREDECESSOR_MS = 10_000;

export class Server {
  readonly #config: DaemonConfig;
  readonly #role: Role;
  readonly #version: string;
  readonly #log: Logger;
  readonly #state: SharedState;
  readonly #generation: number;
  readonly #predecessor: number;
  readonly #pool: WorkerPool;
  #control: ControlServer | undefined;
  #ready = false;
  #ending = false;

  constructor(config: DaemonConfig, role: Role, version: string) {
    this.#config = config;
    this.#role = role;
    this.#version = version;
    this.#log = new Logger(config.logLevel);
    this.#state = openState(config.stateFd);
    // What we start must not keep the connection open; the holder's own descriptors stay as they are.
    setInherit(config.fuseFd, false);
    setInherit(config.stateFd, false);
    if (config.lockFd >= 0) closeSync(config.lockFd);
    this.#predecessor = role === "upgrade" || role === "takeover" ? this.#state.get("serverPid") : 0;
    this.#generation = this.#state.add("generation");
    ensureSlots(this.#state);
    ensureCounters(this.#state);
    ensureNegotiated(this.#state);
    const counters = new Counters(this.#state);
    ensureFilesystem(this.#state, (file) => counters.place(file));
    this.#pool = new WorkerPool(config, this.#state, this.#generation, this.#log, {
      ready: (replayed) => this.#onReady(replayed),
      unmounted: () => this.#onUnmounted(),
    });
  }

  /** Serves until told to end; the process then exits by itself. */
  start(): void {
    this.#listenToSignals();
    if (this.#state.get("protocolMajor") === 0) this.#handshake();
    const alone = this.#role === "first" || this.#role === "restart";
    if (this.#role === "restart") {
      this.#log.warn("the server before this one died; its requests are executed again", {
        restarts: this.#state.add("restarts"),
      });
    }
    const count = this.#config.workers || Math.min(3, Math.max(2, availableParallelism()));
    this.#pool.start(count, alone ? abandonedSlots(this.#state, this.#generation) : []);
  }

  /** Answers the kernel's INIT, the first request of a mount, or the one that died with a server. */
  #handshake(): void {
    const [left] = abandonedSlots(this.#state, this.#generation).filter((slot) => slot.busy);
    const slot = left ?? takeSlot(this.#state, this.#generation);
    if (slot === undefined) throw new Error("Cannot answer INIT: no slot is free");
    const engine = new Engine(slot, {
      fuseFd: this.#config.fuseFd,
      state: this.#state,
      operations: {},
      log: this.#log,
    });
    if (left === undefined && !engine.receive()) throw new Error("Cannot serve: not mounted");
    if (!engine.holdsInit) throw new Error("Cannot serve: the first request is not INIT");
    engine.execute();
    slot.release();
    if (negotiatedOf(this.#state) === undefined) {
      throw new Error("Cannot serve: the kernel speaks no FUSE protocol that is known here");
    }
  }

  /**
   * Has the kernel send again what a dead server had taken. The slots hold all of that already; this
   * is the second net, where the kernel has it (6.9): it costs one write.
   */
  #resend(): void {
    const agreed = negotiatedOf(this.#state);
    if (this.#role !== "restart" || !agreed || !hasFlag(agreed.flags, InitFlag.HAS_RESEND)) return;
    const refused = new Notifier(new DeviceChannel(this.#config.fuseFd)).resend();
    if (refused === 0) this.#state.add("resends");
    else this.#log.warn("the kernel refused to resend", { errno: -refused });
  }

  #onReady(replayed: number): void {
    if (replayed > 0) this.#state.add("replays", replayed);
    if (this.#ready) return;
    this.#ready = true;
    this.#resend();
    this.#state.set("serverPid", process.pid);
    this.#state.set("holderPid", process.ppid);
    this.#state.setText("version", this.#version);
    if (this.#role === "upgrade") {
      this.#state.add("upgrades");
      this.#state.setText("upgradeError", "");
    }
    // "I serve now": the holder relieves the one before.
    process.kill(process.ppid, "SIGURG");
    this.#control = new ControlServer(this.#config, this.#log, {
      status: () =>
        statusOf(this.#config, this.#state, new Counters(this.#state), this.#pool.size),
    });
    watchHolder(this.#config, this.#log, process.ppid);
    this.#log.info("serving", {
      mountpoint: this.#config.mountpoint,
      version: this.#version,
      role: this.#role,
      workers: this.#pool.size,
    });
    if (this.#predecessor > 0) this.#inheritWhenGone();
  }

  /** Once the relieved predecessor has ended, what it left unanswered is executed here. */
  #inheritWhenGone(): void {
    const untilMs = performance.now() + PREDECESSOR_MS;
    const timer = setInterval(() => {
      if (isAlive(this.#predecessor)) {
        if (performance.now() < untilMs) return;
        this.#log.warn("the server before this one does not end", { pid: this.#predecessor });
      } else {
        const left = abandonedSlots(this.#state, this.#generation);
        const unanswered = left.filter((slot) => slot.busy);
        for (const slot of left) if (!slot.busy) slot.release();
        this.#pool.recover(unanswered);
      }
      clearInterval(timer);
    }, PREDECESSOR_LOOK_MS);
  }

  #listenToSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => this.#unmountAndEnd());
    }
    process.on("SIGUSR2", () => {
      const hostView = this.#state.get("hostView") === 0 ? 1 : 0;
      this.#state.set("hostView", hostView);
      this.#log.info(hostView ? "all callers see the host's values" : "callers see their own values");
    });
    // Sent to the server, though meant for the holder.
    process.on("SIGUSR1", () => process.kill(process.ppid, "SIGUSR1"));
    process.on("SIGURG", () => {
      this.#log.info("relieved by another server");
      this.#drain();
    });
  }

  /** TERM: the mount goes, and with it the holder. */
  #unmountAndEnd(): void {
    if (this.#ending) return;
    this.#detach();
    this.#control?.remove();
    this.#drain();
  }

  #detach(): void {
    try {
      // Another's mount on top of ours is not ours to take away.
      if (mountTypeAt(this.#config.mountpoint) === MOUNT_TYPE) {
        umount(this.#config.mountpoint, MNT.DETACH);
      }
    } catch (error) {
      this.#log.warn("cannot unmount", { cause: String(error) });
    }
  }

  /** The kernel says that the filesystem is gone, or that the connection was aborted. */
  #onUnmounted(): void {
    if (this.#ending) return;
    this.#log.info("unmounted");
    this.#unmountAndEnd();
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
    const startMs = performance.now();
    let busyMs = startMs;
    const look = (): void => {
      const nowMs = performance.now();
      if (this.#pool.inFlight > 0) busyMs = nowMs;
      if (this.#pool.size === 0 || nowMs - busyMs > QUIET_MS || nowMs - startMs > DRAIN_MS) {
        exitNow(0);
      }
      setTimeout(look, DRAIN_LOOK_MS);
    };
    look();
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
