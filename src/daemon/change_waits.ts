/** Files of the cgroup tree that are polled or watched for changes, as serving threads handle them. */
import { closeSync, readSync } from "node:fs";
import type { ChangeEvents, LookedUp, OpenNode, Polled } from "../cgroup_tree/change_events.ts";
import { POLL, pollFd } from "../sys/native.ts";
import type { TriggerTable } from "./trigger_table.ts";
import { wakeWatch } from "./wake_watch.ts";
import type { WatchedNodes } from "./watched_nodes.ts";

/** Files that one container may wait for at a time. More are told nothing. */
const MAX_PER_SPACE = 128;
/** All containers together: the rest of the places is for pressure triggers. */
const MAX_IN_ALL = 768;

export class ChangeWaits implements ChangeEvents {
  readonly #table: TriggerTable;
  readonly #nodes: WatchedNodes;
  readonly #buffer = Buffer.alloc(4096);

  constructor(table: TriggerTable, nodes: WatchedNodes) {
    this.#table = table;
    this.#nodes = nodes;
  }

  poll(polled: Polled, open: () => number): boolean {
    const table = this.#table;
    let index = table.find(polled.handle);
    if (index < 0) {
      if (!this.#hasRoom(polled.space)) return false;
      index = this.#add(polled, open());
      if (index < 0) return false;
    }
    // First the waiter, then the question: what changes in between wakes it.
    if (polled.waits && table.setWaiter(index, polled.kh)) wakeWatch(table);
    const fd = table.fdIn(index, process.pid);
    return fd >= 0 && (pollFd(fd, POLL.PRI, 0) & (POLL.PRI | POLL.ERR)) !== 0;
  }

  noteRead(handle: number): void {
    const index = this.#table.find(handle);
    const fd = index < 0 ? -1 : this.#table.fdIn(index, process.pid);
    if (fd < 0) return;
    try {
      readSync(fd, this.#buffer, 0, this.#buffer.length, 0);
    } catch {
      // The cgroup is gone: so says what is read for the reader.
    }
  }

  close(handle: number): void {
    const index = this.#table.find(handle);
    if (index < 0) return;
    this.#table.release(index);
    wakeWatch(this.#table);
  }

  lookUp(node: LookedUp, open: OpenNode): void {
    this.#nodes.note(node, open);
  }

  isRaiser(pid: number): boolean {
    return pid > 0 && pid === this.#nodes.raiserPid;
  }

  #hasRoom(space: number): boolean {
    let [ofSpace, inAll] = [0, 0];
    for (const entry of this.#table.all()) {
      if (entry.kind !== "change") continue;
      inAll++;
      if (entry.space === space) ofSpace++;
    }
    return ofSpace < MAX_PER_SPACE && inAll < MAX_IN_ALL;
  }

  #add({ handle, owner, local, space }: Polled, fd: number): number {
    const added = this.#table.add({
      ...{ kind: "change", handle, container: owner, local, space, fd, pid: process.pid },
      ...{ thresholdUs: 0, windowUs: 0 },
    });
    if (!added) {
      closeSync(fd);
      return -1;
    }
    wakeWatch(this.#table);
    return this.#table.find(handle);
  }
}
