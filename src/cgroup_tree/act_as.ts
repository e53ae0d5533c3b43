/**
 * Work that a thread of the server does with another thread's credentials, so that the kernel itself
 * decides what that one may do. Linux keeps credentials by thread; libc's wrappers, which change them
 * in all threads of the process, are not used. See credentials(7), capabilities(7).
 *
 * Real and saved user id stay 0: that is what a kill(2) or ptrace(2) from outside is checked
 * against, and what leads back.
 */
import { statusField } from "../host/proc_status.ts";
import {
  type CapabilitySets,
  exitNow,
  setEffectiveGid,
  setEffectiveUid,
  setFilesystemGid,
  setFilesystemUid,
  setThreadCapabilities,
  setThreadGroups,
  threadCapabilities,
} from "../sys/native.ts";
import { readFile } from "../sys/read.ts";
import type { Actor } from "./identity.ts";

/** Exit code of a server whose thread could not have its own credentials back. */
const EXIT_CREDENTIALS = 71;

export class Acting {
  readonly #own: CapabilitySets = threadCapabilities();
  readonly #groups: readonly number[];

  constructor() {
    const groups = statusField(readFile("/proc/thread-self/status"), "Groups") ?? "";
    this.#groups = groups.split(" ").filter(Boolean).map(Number);
  }

  /**
   * Does `work`, which must not wait for anything else of this thread, as `actor`.
   * @throws SystemError if these credentials can't be taken, and whatever `work` throws
   */
  as<T>(actor: Actor, work: () => T): T {
    try {
      this.#take(actor);
      return work();
    } finally {
      this.#return();
    }
  }

  #take(actor: Actor): void {
    setThreadGroups(actor.groups);
    setEffectiveGid(actor.effectiveGid);
    // Leaving uid 0 empties the effective capabilities; those permitted are kept.
    setEffectiveUid(actor.effectiveUid);
    const others =
      actor.filesystemUid !== actor.effectiveUid || actor.filesystemGid !== actor.effectiveGid;
    if (others) {
      setThreadCapabilities({ ...this.#own, effective: this.#own.permitted });
      setFilesystemGid(actor.filesystemGid);
      setFilesystemUid(actor.filesystemUid);
    }
    setThreadCapabilities({
      ...this.#own,
      effective: actor.capabilities & this.#own.permitted,
    });
  }

  #return(): void {
    try {
      setThreadCapabilities({ ...this.#own, effective: this.#own.permitted });
      setEffectiveUid(0);
      setEffectiveGid(0);
      setThreadGroups(this.#groups);
      setThreadCapabilities(this.#own);
    } catch {
      // A thread that goes on with a container's credentials would serve the others wrongly.
      exitNow(EXIT_CREDENTIALS);
    }
  }
}
