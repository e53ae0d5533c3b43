/**
 * Waits for all armed pressure triggers, and all files that are polled for changes or watched, at once:
 * one poll(2) over them and a descriptor by which serving threads say that there are more, or fewer.
 * What goes off is told to the kernel, which wakes the processes that wait. Part of the main thread;
 * the poll itself runs in a thread of the pool.
 */
import { closeSync, readSync } from "node:fs";
import type { ContainerRegistry } from "../caller/registry.ts";
import { detectLayout } from "../cgroup/layout.ts";
import { openNode as openNodeOf, type OpenNode } from "../cgroup_tree/change_events.ts";
import { openHierarchies } from "../cgroup_tree/hierarchies.ts";
import { Cgroups } from "../cgroup_tree/tree.ts";
import { DeviceChannel } from "../fuse/channel.ts";
import { Notifier } from "../fuse/notify.ts";
import { isAlive } from "../host/process_alive.ts";
import type { Logger } from "../sys/log.ts";
import { eventfdCreate, POLL, pollAsync, POLLFD_BYTES } from "../sys/native.ts";
import { readFile } from "../sys/read.ts";
import type { DaemonConfig } from "./config.ts";
import { EventRaiser } from "./event_raiser.ts";
import { createWorld } from "./filesystem.ts";
import { cgroupNamesOf } from "./filesystem_memory.ts";
import type { HostNamespace } from "./host_namespace.ts";
import { ModifyEvents } from "./modify_events.ts";
import type { SharedState } from "./state.ts";
import { armTrigger, pressurePath } from "./triggers.ts";
import { FIRED, type TriggerEntry, TriggerTable } from "./trigger_table.ts";
import { WatchedNodes } from "./watched_nodes.ts";

/** How often triggers of another server are looked at, while there are any. */
const FOREIGN_LOOK_MS = 200;

const O_RDONLY = 0;
const O_PATH = 0o10000000;

/** Places in front of what is polled: the descriptor that wakes, and that of watched files. */
const WAKE = 0;
const WATCHED = 1;
const OTHERS = 2;

interface TriggerWatchParts {
  readonly state: SharedState;
  readonly registry: ContainerRegistry;
  readonly fuseFd: number;
  /** Opens a file of the cgroup tree. */
  readonly openNode: OpenNode;
  /** Changes of files of the cgroup tree that are watched, where it is served. */
  readonly modifyEvents: ModifyEvents | undefined;
}

/** Watches until the process ends. */
export function watchEvents(
  config: DaemonConfig,
  state: SharedState,
  host: HostNamespace,
  log: Logger,
): void {
  const { registry } = createWorld(config.view, state);
  const names = cgroupNamesOf(state);
  let cgroups: Cgroups | undefined;
  const openAs =
    (flags: number): OpenNode =>
    (node) => {
      cgroups ??= new Cgroups(
        openHierarchies(detectLayout(readFile("/proc/thread-self/mountinfo"))),
      );
      return openNodeOf(cgroups, names, node, flags);
    };
  const { mountpoint, fuseFd, view } = config;
  const nodes = view.cgroupTree ? new WatchedNodes(state) : undefined;
  const modifyEvents =
    nodes &&
    new ModifyEvents(nodes, new EventRaiser({ mountpoint, nodes, host, log }), openAs(O_PATH));
  const openNode = openAs(O_RDONLY);
  const watch = new TriggerWatch({ state, registry, fuseFd, openNode, modifyEvents });
  watch.run().catch((error: unknown) => {
    log.error("events are not watched any more", { cause: String(error) });
  });
}

class TriggerWatch {
  readonly #parts: TriggerWatchParts;
  readonly #table: TriggerTable;
  readonly #notifier: Notifier;
  readonly #wakeFd = eventfdCreate();
  #pollfds = Buffer.alloc(POLLFD_BYTES * 16);

  constructor(parts: TriggerWatchParts) {
    this.#parts = parts;
    this.#table = new TriggerTable(parts.state);
    this.#notifier = new Notifier(new DeviceChannel(parts.fuseFd));
    this.#table.setWakeFd(process.pid, this.#wakeFd);
  }

  async run(): Promise<never> {
    for (;;) {
      const { own, foreign } = this.#look();
      this.#fill(own);
      await pollAsync(this.#pollfds, own.length + OTHERS, foreign ? FOREIGN_LOOK_MS : -1);
      if (this.#found(WAKE) !== 0) readSync(this.#wakeFd, Buffer.alloc(8));
      if (this.#found(WATCHED) !== 0) this.#parts.modifyEvents?.take();
      for (const [at, entry] of own.entries()) {
        const found = this.#found(at + OTHERS);
        if (entry.kind === "change") {
          if (found !== 0) this.#tellOfChange(entry);
        } else if ((found & (POLL.ERR | POLL.NVAL | POLL.HUP)) !== 0) this.#fire(entry, FIRED.gone);
        else if ((found & POLL.PRI) !== 0) this.#fire(entry, FIRED.yes);
      }
    }
  }

  /** Closes what was released, takes over what a server left that is gone. */
  #look(): { own: TriggerEntry[]; foreign: boolean } {
    const own: TriggerEntry[] = [];
    let foreign = false;
    for (const entry of this.#table.all()) {
      if (entry.pid !== process.pid && isAlive("/proc", entry.pid)) foreign = true;
      else if (entry.closing) {
        if (entry.pid === process.pid && entry.fd >= 0) closeSync(entry.fd);
        this.#table.free(entry.index);
      } else if (entry.pid !== process.pid) own.push(this.#takeOver(entry));
      else own.push(entry);
    }
    return { own: own.filter(({ fd, resting }) => fd >= 0 && !resting), foreign };
  }

  #takeOver(entry: TriggerEntry): TriggerEntry {
    let fd = -1;
    try {
      fd = this.#reopen(entry);
    } catch {
      this.#fire(entry, FIRED.gone);
    }
    this.#table.moveTo(entry.index, process.pid, fd);
    return { ...entry, fd, pid: process.pid };
  }

  /** @throws if what it is about is gone */
  #reopen({ kind, container, local, thresholdUs, windowUs }: TriggerEntry): number {
    // What changed meanwhile can't be known: it is told as a change.
    if (kind === "change") return this.#parts.openNode({ owner: container, local });
    const path = pressurePath(this.#parts.registry, "/proc", container, local);
    return armTrigger(path, { kind, thresholdUs, windowUs });
  }

  /** Changed it stays until it is read: until then this descriptor would be ready all the time. */
  #tellOfChange(entry: TriggerEntry): void {
    this.#table.rest(entry.index);
    const kh = this.#table.fire(entry.index, FIRED.yes);
    if (kh !== 0) this.#notifier.poll(kh);
  }

  #fill(own: readonly TriggerEntry[]): void {
    const bytes = (own.length + OTHERS) * POLLFD_BYTES;
    if (this.#pollfds.length < bytes) this.#pollfds = Buffer.alloc(bytes * 2);
    this.#put(WAKE, this.#wakeFd, POLL.IN);
    // Of -1 the kernel says nothing.
    this.#put(WATCHED, this.#parts.modifyEvents?.fd ?? -1, POLL.IN);
    for (const [at, { fd }] of own.entries()) this.#put(at + OTHERS, fd, POLL.PRI);
  }

  #put(at: number, fd: number, events: number): void {
    this.#pollfds.writeInt32LE(fd, at * POLLFD_BYTES);
    this.#pollfds.writeInt16LE(events, at * POLLFD_BYTES + 4);
    this.#pollfds.writeInt16LE(0, at * POLLFD_BYTES + 6);
  }

  #found(at: number): number {
    return this.#pollfds.readInt16LE(at * POLLFD_BYTES + 6);
  }

  #fire(entry: TriggerEntry, how: number): void {
    const kh = this.#table.fire(entry.index, how);
    if (how === FIRED.gone && entry.fd >= 0) {
      // Its cgroup was removed: this descriptor would be ready for ever.
      closeSync(entry.fd);
      this.#table.moveTo(entry.index, process.pid, -1);
    }
    if (kh !== 0) this.#notifier.poll(kh);
  }
}
