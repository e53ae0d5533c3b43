/**
 * Where the daemon meets the filesystem: what a serving thread is given, and what it serves. The
 * daemon knows nothing of containers; the filesystem knows nothing of processes and threads.
 */
import { ContainerRegistry } from "../caller/registry.ts";
import { CallerResolver } from "../caller/resolver.ts";
import type { Container } from "../caller/container.ts";
import { detectLayout } from "../cgroup/layout.ts";
import type { Operations } from "../fuse/operations.ts";
import { Host } from "../machine/host.ts";
import type { HistoryTable } from "../machine/history.ts";
import { Machine } from "../machine/machine.ts";
import { monotonicMs } from "../fuse/watch.ts";
import { SystemClock } from "../sys/clock.ts";
import type { Logger } from "../sys/log.ts";
import { readFile } from "../sys/read.ts";
import { filesystemOf } from "../vfs/filesystem.ts";
import { Renderer } from "../views/renderer.ts";
import { itemOf } from "../views/tree.ts";
import type { ViewConfig } from "./config.ts";
import { ContainerSource } from "./container_source.ts";
import type { CounterRow } from "./counters.ts";
import { historyOf, newestOf, openFilesOf, OTHER_FILES } from "./filesystem_memory.ts";
import type { SharedState } from "./state.ts";
import { TriggerTable } from "./trigger_table.ts";
import { PressureTriggers } from "./triggers.ts";

/** What a serving thread's filesystem works with. */
export interface FilesystemContext {
  readonly view: ViewConfig;
  /** Shared with all threads and with successors; regions are set aside by `ensureFilesystemMemory`. */
  readonly state: SharedState;
  readonly log: Logger;
  /** Place of a file in the request counters, made if there is none. */
  place(file: string): number;
  /** Where this thread counts. */
  readonly row: CounterRow;
  /**
   * True while it answers a request whose thread hangs, perhaps over the caller's own cgroup: such a
   * one gets the host's values.
   */
  late(): boolean;
}

/** Containers that a thread keeps descriptors of: about a dozen each. */
const MAX_CONTAINERS = 512;

/** The containers of this host as one thread sees them: what serving and sampling both start from. */
export interface ContainerWorld {
  readonly host: Host;
  readonly registry: ContainerRegistry;
  readonly resolver: CallerResolver;
  readonly history: HistoryTable;
  readonly machineOf: (container: Container) => Machine;
}

/** @param state where `ensureFilesystemMemory` has been */
export function createWorld(view: ViewConfig, state: SharedState): ContainerWorld {
  const clock = new SystemClock();
  const host = new Host();
  const layout = detectLayout(readFile("/proc/self/mountinfo"));
  const registry = new ContainerRegistry({
    procRoot: "/proc",
    layout,
    root: "",
    pageBytes: host.pageBytes,
    maxContainers: MAX_CONTAINERS,
  });
  const resolver = new CallerResolver({
    procRoot: "/proc",
    layout,
    registry,
    clock,
    freshnessMs: view.freshnessMs,
    maxNamespaces: MAX_CONTAINERS,
  });
  const history = historyOf(state);
  const settings = {
    cpuPolicy: view.cpuPolicy,
    loadavg: view.loadavg,
    showSwap: view.swap,
    showZswap: view.zswap,
  };
  const machines = new WeakMap<Container, Machine>();
  const machineOf = (container: Container): Machine => {
    let machine = machines.get(container);
    if (machine === undefined) {
      machine = new Machine(container, host, clock, settings, history);
      machines.set(container, machine);
    }
    return machine;
  };
  return { host, registry, resolver, history, machineOf };
}

/** The filesystem of one serving thread. */
export function createFilesystem(context: FilesystemContext): Operations {
  const { view, state, log, row } = context;
  const { host, registry, resolver, machineOf } = createWorld(view, state);
  const renderer = new Renderer({
    host,
    machineOf,
    nowMs: monotonicMs,
    newest: newestOf(state),
    freshnessMs: view.freshnessMs,
    onError: (error, path) => {
      const cause = error instanceof Error ? error.message : String(error);
      log.warn("a file could not be made and was replaced", { path, cause });
    },
  });
  const source = new ContainerSource({
    resolver,
    registry,
    renderer,
    host,
    machineOf,
    hostView: () => state.get("hostView") !== 0 || context.late(),
  });
  const places = new Map<number, number>();
  const placeOf = (local: number): number => {
    let place = places.get(local);
    if (place === undefined) {
      place = context.place(itemOf(local)?.view?.path ?? OTHER_FILES);
      places.set(local, place);
    }
    return place;
  };
  return filesystemOf({
    source,
    openFiles: openFilesOf(state),
    events: new PressureTriggers({
      table: view.psiPoll ? new TriggerTable(state) : undefined,
      registry,
      procRoot: "/proc",
    }),
    startSeconds: state.get("startSeconds"),
    onRead: (local, answered) => {
      const result = context.late() ? "late" : "ok";
      row.count(placeOf(local), answered ? result : "error");
    },
  });
}
