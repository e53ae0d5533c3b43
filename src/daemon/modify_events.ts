/**
 * inotify on the cgroup tree's files of events. The kernel raises these events itself, for changes that
 * are made through a mount, and has no message by which a filesystem could; so a change that the server
 * sees in the kernel's own file is made on ours, by a process of its own (event_raiser.ts). Part of the
 * main thread.
 */
import { readSync } from "node:fs";
import type { OpenNode } from "../cgroup_tree/change_events.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import { closeFd, inotifyCreate } from "../sys/native.ts";
import type { EventRaiser } from "./event_raiser.ts";
import type { WatchedNodes } from "./watched_nodes.ts";

/** How often nodes of cgroups that are gone are let go of. */
const TIDY_MS = 60_000;
/** By then a server that was relieved has answered its last request. */
const PREDECESSOR_MS = 3000;

/** struct inotify_event: watch, mask, cookie, length of the name behind it. */
const EVENT_BYTES = 16;
const IN = { MODIFY: 2, Q_OVERFLOW: 0x4000, IGNORED: 0x8000 } as const;

export class ModifyEvents {
  /** Ready to be read when there are changes. */
  readonly fd: number = inotifyCreate();
  readonly #nodes: WatchedNodes;
  readonly #raiser: EventRaiser;
  readonly #open: OpenNode;
  readonly #buffer = Buffer.alloc(64 << 10);

  constructor(nodes: WatchedNodes, raiser: EventRaiser, open: OpenNode) {
    this.#nodes = nodes;
    this.#raiser = raiser;
    this.#open = open;
    nodes.takeOver(this.fd);
    this.#tidy();
    setTimeout(() => this.#tidy(), PREDECESSOR_MS).unref();
    setInterval(() => this.#tidy(), TIDY_MS).unref();
  }

  /** Passes on what has changed. */
  take(): void {
    const changed = new Set<number>();
    const ended = new Set<number>();
    let isOverflow = false;
    const length = this.#read();
    for (
      let at = 0;
      at + EVENT_BYTES <= length;
      at += EVENT_BYTES + this.#buffer.readUInt32LE(at + 12)
    ) {
      const watch = this.#buffer.readInt32LE(at);
      const mask = this.#buffer.readUInt32LE(at + 4);
      if ((mask & IN.Q_OVERFLOW) !== 0) isOverflow = true;
      else if ((mask & IN.IGNORED) !== 0) ended.add(watch);
      else if ((mask & IN.MODIFY) !== 0) changed.add(watch);
    }
    if (!this.#nodes.isOurs) return;
    if (isOverflow) this.#raiser.raise(this.#nodes.nodes());
    else if (changed.size > 0) this.#raiser.raise(this.#nodes.nodes(changed));
    if (ended.size > 0) this.#nodes.ended(ended);
  }

  #read(): number {
    try {
      return readSync(this.fd, this.#buffer);
    } catch (error) {
      if (errnoOf(error) === errno.EAGAIN) return 0;
      throw error;
    }
  }

  /**
   * Lets go of nodes whose cgroups are gone, and watches those that nobody watches: what a server left
   * that is gone. What changed meanwhile can't be known: it is told as a change.
   */
  #tidy(): void {
    if (!this.#nodes.isOurs) return;
    const missed = this.#nodes.nodes().filter((node) => {
      try {
        closeFd(this.#open(node));
      } catch {
        this.#nodes.forget(node);
        return false;
      }
      return this.#nodes.watchAgain(node, this.#open);
    });
    this.#raiser.raise(missed);
  }
}
