/**
 * The second connection: the files of `containers/` whose pages the kernel may keep for the freshness
 * bound (`vfs/cached_filesystem.ts`), mounted in the runtime directory for those who attach. Its
 * threads are started when somebody first asks for something, because until then they would only
 * cost memory.
 */
import { mkdirSync, rmdirSync } from "node:fs";
import { errno, errnoOf } from "../sys/errno.ts";
import type { Logger } from "../sys/log.ts";
import { MNT, mount, MS, POLL, pollFd, umount } from "../sys/native.ts";
import type { DaemonConfig } from "./config.ts";
import { handshake } from "./handshake.ts";
import type { HostNamespace } from "./host_namespace.ts";
import { MOUNT_TYPE, mountTypeAt } from "./mountpoint.ts";
import { negotiatedOf } from "./negotiated.ts";
import { cachedMountpoint, cachedSource } from "./paths.ts";
import type { Slot } from "./slots.ts";
import type { SharedState } from "./state.ts";
import { abandonedSlots, WorkerPool } from "./workers.ts";

/** How often a first request is looked for. */
const LOOK_MS = 100;
/** Time until a thread that died is started again. */
const RETRY_MS = 1000;

/** Dead mounts of earlier servers, and our own. */
function detachAll(path: string): void {
  while (mountTypeAt(path) === MOUNT_TYPE) umount(path, MNT.DETACH);
}

/**
 * Whether a server before `generation` has served it, so that its readers wait for this one: it holds
 * a slot for that.
 */
export function isCachedServed(state: SharedState, generation: number): boolean {
  return abandonedSlots(state, generation, "cached").length > 0;
}

export class CachedConnection {
  readonly #config: DaemonConfig;
  readonly #state: SharedState;
  readonly #generation: number;
  readonly #host: HostNamespace;
  readonly #log: Logger;
  #pool: WorkerPool | undefined;
  #stopping = false;

  constructor(
    config: DaemonConfig,
    state: SharedState,
    generation: number,
    host: HostNamespace,
    log: Logger,
  ) {
    this.#config = config;
    this.#state = state;
    this.#host = host;
    this.#generation = generation;
    this.#log = log;
  }

  /**
   * Mounts it, unless a predecessor has, and waits for requests.
   * @param isAlone whether no predecessor lives, so that requests it was at are to be executed again
   * @param ready told once it is served as before: at once, if nobody has asked for anything yet
   */
  begin(isAlone: boolean, ready: () => void): void {
    try {
      this.#host.inside(() => this.#mount());
    } catch (error) {
      // Everything is served without it, only slower.
      this.#log.warn("the cached files cannot be mounted", { cause: String(error) });
      ready();
      return;
    }
    if (isCachedServed(this.#state, this.#generation)) {
      this.#serve(isAlone ? this.#abandoned() : [], ready);
      return;
    }
    this.#await();
    ready();
  }

  /** The predecessor has ended: what it left unanswered is executed. */
  recover(): void {
    this.#pool?.recover(this.#abandoned());
  }

  #abandoned(): Slot[] {
    return abandonedSlots(this.#state, this.#generation, "cached");
  }

  stop(): void {
    this.#stopping = true;
    this.#pool?.stop();
  }

  /** Takes the mount away. */
  unmount(): void {
    const path = cachedMountpoint(this.#config.controlSocket);
    try {
      this.#host.inside(() => {
        detachAll(path);
        rmdirSync(path);
      });
    } catch {
      // Somebody else's, or gone already.
    }
  }

  get inFlight(): number {
    return this.#pool?.inFlight ?? 0;
  }

  #mount(): void {
    if (negotiatedOf(this.#state, "cached") !== undefined) return;
    const { cachedFd, mountpoint, controlSocket } = this.#config;
    const options = `fd=${cachedFd},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions`;
    const path = cachedMountpoint(controlSocket);
    // A dead mount there is no directory to mkdir(2).
    detachAll(path);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    try {
      mount(cachedSource(mountpoint), path, MOUNT_TYPE, MS.NOSUID | MS.NODEV, options);
    } catch (error) {
      // A predecessor mounted it and died before INIT was answered.
      if (errnoOf(error) !== errno.EINVAL) throw error;
    }
    handshake("cached", cachedFd, true, this.#state, this.#generation, this.#log);
  }

  #await(): void {
    const timer = setInterval(() => {
      if (this.#stopping) clearInterval(timer);
      else if (pollFd(this.#config.cachedFd, POLL.IN, 0) !== 0) {
        clearInterval(timer);
        this.#serve([]);
      }
    }, LOOK_MS);
  }

  /** @param served told once, when a thread serves or cannot */
  #serve(inherited: readonly Slot[], served: () => void = () => {}): void {
    const pool = new WorkerPool("cached", this.#config, this.#state, this.#generation, this.#log, {
      ready: (replayed) => {
        if (replayed > 0) this.#state.add("replays", replayed);
        served();
      },
      unmounted: () => {
        if (!this.#stopping) this.#log.info("the cached files were unmounted");
        this.stop();
      },
      failed: (cause) => {
        this.#log.error("the cached files are not served", { cause });
        served();
        this.#pool = undefined;
        setTimeout(() => this.#stopping || this.#serve([]), RETRY_MS);
      },
    });
    this.#pool = pool;
    pool.start(inherited, false);
  }
}
