/** A mount namespace to come back to, and the root directory that was seen in it. */
import { closeSync, constants, openSync } from "node:fs";
import { chroot, CLONE, fchdir, setns } from "./native.ts";

/** open(2) flag that Node does not name: a descriptor of a place, without asking its filesystem. */
const O_PATH = 0o10000000;

/** Holds descriptors: close it. */
export class MountNamespace {
  readonly #namespaceFd: number;
  readonly #rootFd: number;

  private constructor(namespaceFd: number, rootFd: number) {
    this.#namespaceFd = namespaceFd;
    this.#rootFd = rootFd;
  }

  /** The calling thread's own. Process 1's may be unreadable, this one never is. */
  static current(): MountNamespace {
    const namespaceFd = openSync("/proc/thread-self/ns/mnt", "r");
    // Not "/", for which emulators of other processors take another directory.
    const rootFd = openSync("/proc/thread-self/root", constants.O_DIRECTORY | O_PATH);
    return new MountNamespace(namespaceFd, rootFd);
  }

  /**
   * Takes the calling thread there. It must share its root directory with no other thread
   * (`unshare(CLONE.FS)`).
   */
  enter(): void {
    setns(this.#namespaceFd, CLONE.NEWNS);
    // Entering a namespace makes its own root the thread's; the one that was seen may be another.
    fchdir(this.#rootFd);
    chroot(".");
  }

  /** `path` as it is there, for whoever is elsewhere: a descriptor leads from one to the other. */
  path(path: string): string {
    return `/proc/self/fd/${this.#rootFd}${path}`;
  }

  close(): void {
    closeSync(this.#namespaceFd);
    closeSync(this.#rootFd);
  }
}
