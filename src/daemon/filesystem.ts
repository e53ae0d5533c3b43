/**
 * Where the daemon meets the filesystem: what a serving thread is given, and what it serves. The
 * daemon knows nothing of containers; the filesystem knows nothing of processes and threads.
 */
import { ContainerRegistry } from "../caller/registry.ts";
import type { ContainerKey } from "../caller/container_key.ts";
import { RequestCaller } from "../caller/request_caller.ts";
import { CallerResolver } from "../caller/resolver.ts";
import type { Container } from "../caller/container.ts";
import { descriptorLimit, openDescriptors } from "../sys/descriptors.ts";
import { detectLayout } from "../cgroup/layout.ts";
import { cgroupTreeOf } from "../cgroup_tree/operations.ts";
import type { Operations } from "../fuse/operations.ts";
import { Host } from "../machine/host.ts";
import type { HistoryTable } from "../machine/history.ts";
import { Machine } from "../machine/machine.ts";
import { monotonicMs, SystemClock } from "../sys/clock.ts";
import { kernelTickMs } from "../sys/native.ts";
import type { Logger } from "../sys/log.ts";
import { readFile } from "../sys/read.ts";
import { cachedFilesystemOf } from "../vfs/cached_filesystem.ts";
import { filesystemOf } from "../vfs/filesystem.ts";
import { pageLifetime } from "../vfs/page_lifetime.ts";
import { fixedSizes } from "../views/fixed_size.ts";
import { Renderer } from "../views/renderer.ts";
import { itemOf } from "../views/tree.ts";
import type { ViewConfig } from "./config.ts";
import { containerOf, ContainerSource } from "./container_source.ts";
import type { CacheSizesRow } from "./cache_sizes.ts";
import type { CounterRow } from "./counters.ts";
import { CachedSource } from "./cached_source.ts";
import { dispatch } from "./dispatch.ts";
import {
  cgroupNamesOf,
  historyOf,
  newestOf,
  openFilesOf,
  OTHER_FILES,
} from "./filesystem_memory.ts";
import type { SharedState } from "./state.ts";
import type { ReaderRow } from "./top_readers.ts";
import { ChangeWaits } from "./change_waits.ts";
import { TriggerTable } from "./trigger_table.ts";
import { PressureTriggers } from "./triggers.ts";
import { WatchedNodes } from "./watched_nodes.ts";

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
  /** Where this thread counts by container. */
  readonly readers: ReaderRow;
  /** Where this thread notes how much it keeps. */
  readonly sizes: CacheSizesRow;
  /**
   * True while it answers a request whose thread hangs, perhaps over the caller's own cgroup: such a
   * one gets the host's values.
   */
  late(): boolean;
  /** Told before something that may take time: others may be served by another thread meanwhile. */
  slow(): void;
}

/** Containers that a thread knows at most; a dozen kilobytes each. */
const MAX_CONTAINERS = 4096;
/** The part of the descriptors the process may have that containers' files may take up. */
const DESCRIPTOR_SHARE = 3 / 4;

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
  const layout = detectLayout(readFile("/proc/thread-self/mountinfo"));
  const registry = new ContainerRegistry({
    procRoot: "/proc",
    layout,
    root: "",
    pageBytes: host.pageBytes,
    maxContainers: MAX_CONTAINERS,
    descriptors: { count: openDescriptors, most: () => descriptorLimit() * DESCRIPTOR_SHARE },
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
    hostUptime: view.uptime === "host",
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

/** What one serving thread serves. */
export interface ServedFilesystem {
  readonly operations: Operations;
  /** To be called before each request. */
  readonly beginRequest: () => void;
  /** The container that a thread is in, 0 for the host: who waits for whom. */
  readonly callerOf: (pid: number) => number;
  /** Lets go of containers that have ended; for when there is time. @param most to look at */
  readonly tidy: (most?: number) => void;
}

/** The filesystem of one serving thread. */
export function createFilesystem(context: FilesystemContext): ServedFilesystem {
  const { view, state, row } = context;
  const world = createWorld(view, state);
  const placeOf = placesOf(context);
  const openFiles = openFilesOf(state);
  const caller = new RequestCaller(world.resolver);
  const { source, noteSizes, forgetTexts } = createSource(context, world, caller, view.freshnessMs);
  const beginRequest = (): void => caller.begin();
  const files = filesystemOf({
    source,
    openFiles,
    events: new PressureTriggers({
      table: view.psiPoll ? new TriggerTable(state) : undefined,
      registry: world.registry,
      procRoot: "/proc",
    }),
    startSeconds: state.get("startSeconds"),
    isLate: () => context.late(),
    onRead: (local, answered, reader) => {
      context.readers.count(containerOf(reader));
      const result = context.late() ? "late" : "ok";
      row.count(placeOf(local), answered ? result : "error");
      noteSizes();
    },
  });
  const callerOf = (pid: number): number => {
    try {
      return caller.resolve(pid)?.key ?? 0;
    } catch {
      // Only an order depends on it; the request itself finds out what is wrong.
      return 0;
    }
  };
  const tidy = (most = MAX_CONTAINERS): void => {
    world.registry.forgetDead(most);
    world.resolver.forgetDead(most);
    forgetTexts(most);
    noteSizes();
  };
  if (!view.cgroupTree) return { operations: files, beginRequest, callerOf, tidy };
  const tree = cgroupTreeOf({
    procRoot: "/proc",
    layout: detectLayout(readFile("/proc/thread-self/mountinfo")),
    names: cgroupNamesOf(state),
    openFiles,
    changes: new ChangeWaits(new TriggerTable(state), new WatchedNodes(state)),
    nowMs: monotonicMs,
    slow: () => context.slow(),
  });
  const operations = dispatch({
    files,
    tree,
    late: () => context.late(),
    slow: () => context.slow(),
  });
  return { operations, beginRequest, callerOf, tidy };
}

/** The filesystem of the second connection's serving thread, whose pages the kernel caches. */
export function createCachedFilesystem(
  context: FilesystemContext,
): Pick<ServedFilesystem, "operations" | "tidy"> {
  const { view, state, row } = context;
  const world = createWorld(view, state);
  // Each page is made when it is asked for: how old it gets is the kernel's time alone.
  const made = createSource(context, world, world.resolver, 0);
  const source = new CachedSource(made.source, fixedSizes(world.host));
  const placeOf = placesOf(context);
  const startMs = state.get("startMonotonicSeconds") * 1000;
  const operations = cachedFilesystemOf({
    source,
    textOf: (reader, local) => source.text(reader, local),
    lifetime: pageLifetime(view.freshnessMs, kernelTickMs()),
    sinceStartMs: () => monotonicMs() - startMs,
    startSeconds: state.get("startSeconds"),
    onRead: (local, answered, reader) => {
      context.readers.count(reader);
      row.count(placeOf(local), answered ? "ok" : "error");
      made.noteSizes();
    },
  });
  const tidy = (most = MAX_CONTAINERS): void => {
    world.registry.forgetDead(most);
    made.forgetTexts(most);
    made.noteSizes();
  };
  return { operations, tidy };
}

function createSource(
  context: FilesystemContext,
  { host, registry, resolver, machineOf }: ContainerWorld,
  caller: Pick<CallerResolver, "resolve">,
  freshnessMs: number,
): {
  readonly source: ContainerSource;
  readonly noteSizes: () => void;
  readonly forgetTexts: (most: number) => void;
} {
  const { state, log, sizes } = context;
  const openFiles = openFilesOf(state);
  const renderer = new Renderer({
    host,
    machineOf,
    nowMs: monotonicMs,
    newest: newestOf(state),
    freshnessMs,
    onSlow: () => context.slow(),
    onError: (error, path) => {
      const cause = error instanceof Error ? error.message : String(error);
      log.warn("a file could not be made and was replaced", { path, cause });
    },
  });
  const source = new ContainerSource({
    resolver: caller,
    registry,
    renderer,
    host,
    machineOf,
    hostView: () => state.get("hostView") !== 0 || context.late(),
    late: () => context.late(),
    lastText: (reader, local) => openFiles.last(reader, local),
    cgroupTree: context.view.cgroupTree,
  });
  return {
    source,
    noteSizes: () => sizes.note(registry.size, resolver.size, renderer.size),
    forgetTexts: (most) => renderer.forgetEnded(most, (key) => registry.has(key as ContainerKey)),
  };
}

/** Place of each file in the request counters, looked up once. */
function placesOf(context: FilesystemContext): (local: number) => number {
  const places = new Map<number, number>();
  return (local) => {
    let place = places.get(local);
    if (place === undefined) {
      place = context.place(itemOf(local)?.view?.path ?? OTHER_FILES);
      places.set(local, place);
    }
    return place;
  };
}
