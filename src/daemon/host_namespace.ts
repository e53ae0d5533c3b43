/**
 * The host's mount namespace, for the server that has left it (private_root.ts): where the filesystem
 * is mounted and unmounted, its sockets lie and other programs are started. For the main thread only;
 * the serving threads stay where they are.
 */
import type { Logger } from "../sys/log.ts";
import { MountNamespace } from "../sys/mount_namespace.ts";
import { CLONE, unshare } from "../sys/native.ts";
import type { ViewConfig } from "./config.ts";
import { makePrivateRoot, type PrivateRoot } from "./private_root.ts";

export class HostNamespace {
  readonly #host: MountNamespace;
  #own: MountNamespace | undefined;
  #root: PrivateRoot | undefined;

  private constructor(host: MountNamespace) {
    this.#host = host;
  }

  /**
   * Leaves the host's namespace for one of the server's own. Where that is refused, as in some
   * containers, everything works without.
   */
  static leave(view: ViewConfig, log: Logger): HostNamespace {
    const left = new HostNamespace(MountNamespace.current());
    let isCopy = false;
    try {
      // From where it could not come back it does not leave.
      unshare(CLONE.FS);
      left.#host.enter();
      unshare(CLONE.NEWNS);
      isCopy = true;
      const root = makePrivateRoot(view.cgroupTree || view.psiPoll);
      left.#own = MountNamespace.current();
      left.#root = root;
      if (root.procRefused !== undefined) {
        log.warn("no procfs of its own: the host's is read", { cause: root.procRefused });
      }
    } catch (error) {
      if (isCopy) left.#host.enter();
      log.warn("no mount namespace of its own: the host's is used", { cause: String(error) });
    }
    return left;
  }

  /** Whether the server is in a namespace of its own. */
  get isLeft(): boolean {
    return this.#own !== undefined;
  }

  /** Lets go of the host's mounts: once, when there is time. */
  detach(): void {
    this.#root?.detachHost();
    this.#root = undefined;
  }

  /** Runs `work` in the host's namespace. Nothing that it leaves for later happens there. */
  inside<T>(work: () => T): T {
    if (this.#own === undefined) return work();
    // Threads that were started since share this one's root directory.
    unshare(CLONE.FS);
    this.#host.enter();
    try {
      return work();
    } finally {
      this.#own.enter();
    }
  }

  /** `path` of the host's, as any thread of this process can open it. */
  path(path: string): string {
    return this.#own === undefined ? path : this.#host.path(path);
  }
}
