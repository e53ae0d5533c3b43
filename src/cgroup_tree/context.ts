/**
 * What every operation of the tree starts from, made anew for each request: who asks, which directory
 * is meant, and where that stands for this caller.
 */
import type { CgroupLayout } from "../cgroup/layout.ts";
import type { RequestHeader } from "../fuse/operations.ts";
import { errno, errnoOf } from "../sys/errno.ts";
import { tryReadFile } from "../sys/read.ts";
import { localOf, ownerOf } from "../vfs/node_id.ts";
import type { OpenFiles } from "../vfs/open_files.ts";
import { Acting } from "./act_as.ts";
import { type Caller, Callers } from "./callers.ts";
import type { ChangeEvents } from "./change_events.ts";
import {
  FOREIGN,
  isDelegatable,
  isOfTheServer,
  type Standing,
  standingOf,
  V2_DELEGATABLE,
} from "./decide.ts";
import { type MountedHierarchy, openHierarchies } from "./hierarchies.ts";
import { KnownNumbers } from "./known_numbers.ts";
import type { Identity } from "./identity.ts";
import type { FileNames } from "./names.ts";
import { ABOVE, type CgroupNode, NOTHING_DEPTH, nodeOf } from "./node.ts";
import { PidNamespace } from "./pids.ts";
import { Cgroups } from "./tree.ts";

export interface CgroupTreeOptions {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly names: FileNames;
  readonly openFiles: OpenFiles;
  readonly changes: ChangeEvents;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly nowMs: () => number;
  /** Told before something that may take time: others may be served by another thread meanwhile. */
  readonly slow: () => void;
}

/** One directory as one caller sees it. */
export interface Seen {
  readonly caller: Caller;
  readonly mounted: MountedHierarchy;
  readonly id: number;
  /** What nodes of its entries say of who sees them (node.ts). */
  readonly depth: number;
  /** Above: whose own topmost cgroup it leads to. */
  readonly viewer: number | undefined;
  readonly standing: Standing;
  /** Name of the file that is meant; `undefined`: the directory. */
  readonly file: string | undefined;
}

/** A caller that changed its user between its request and now. */
class IdentityChanged extends Error {
  readonly errno = errno.EACCES;
}

/** What one serving thread works with. */
export class TreeContext {
  readonly procRoot: string;
  readonly layout: CgroupLayout;
  readonly names: FileNames;
  readonly openFiles: OpenFiles;
  readonly changes: ChangeEvents;
  readonly cgroups: Cgroups;
  readonly callers: Callers;
  readonly acting: Acting;
  readonly knownNumbers: KnownNumbers;
  readonly slow: () => void;
  /** Room for one answer of getdents64(2). */
  readonly direntBuffer: Buffer = Buffer.alloc(32 << 10);
  readonly #delegatable: ReadonlySet<string> = v2Delegatable();

  constructor(options: CgroupTreeOptions) {
    const { procRoot, layout, names, openFiles, nowMs } = options;
    this.procRoot = procRoot;
    this.layout = layout;
    this.names = names;
    this.openFiles = openFiles;
    this.changes = options.changes;
    this.cgroups = new Cgroups(openHierarchies(layout));
    this.callers = new Callers({ procRoot, layout, nowMs });
    this.slow = options.slow;
    this.acting = new Acting();
    this.knownNumbers = new KnownNumbers(procRoot);
  }

  /** What the request is about; `undefined` where there is nothing for this caller. */
  see(request: RequestHeader): Seen | undefined {
    const node = nodeOf(ownerOf(request.nodeLow, request.nodeHigh), localOf(request.nodeLow));
    const mounted = this.cgroups.bySlot(node.slot);
    const caller = mounted && this.callers.of(request.pid);
    if (mounted === undefined || caller === undefined) return undefined;
    if (node.file === ABOVE) return this.#seeAbove(caller, mounted, node);
    const file = node.file === 0 ? undefined : this.names.nameOf(node.file);
    if (node.file !== 0 && file === undefined) return undefined;
    const { id, depth } = node;
    const standing = this.standing(caller, mounted, id);
    // An ancestor as somebody sees it who sees more of it: a bind mount that was made on the host.
    if (standing === FOREIGN || standing.is === "ancestor") return undefined;
    return { caller, mounted, id, depth, viewer: undefined, standing, file };
  }

  /** What a node is, whoever asks. */
  nodeOf(request: RequestHeader): Pick<Seen, "mounted" | "id" | "file"> | undefined {
    const node = nodeOf(ownerOf(request.nodeLow, request.nodeHigh), localOf(request.nodeLow));
    const mounted = this.cgroups.bySlot(node.slot);
    const file = this.names.nameOf(node.file);
    return mounted && file !== undefined ? { mounted, id: node.id, file } : undefined;
  }

  #seeAbove(
    caller: Caller,
    mounted: MountedHierarchy,
    { id, depth }: CgroupNode,
  ): Seen | undefined {
    const nothing: Standing = { is: "ancestor", step: undefined };
    const { topId } = mounted;
    if (depth === NOTHING_DEPTH) {
      return {
        caller,
        mounted,
        id: topId,
        depth,
        viewer: undefined,
        standing: nothing,
        file: undefined,
      };
    }
    const viewer = this.#viewerAt(caller, mounted, id);
    const chain = viewer === undefined ? [] : this.cgroups.chainTo(mounted, viewer);
    const [above, step] = [chain[depth], chain[depth + 1]];
    if (above === undefined || step === undefined) return undefined;
    const standing: Standing = { is: "ancestor", step };
    return { caller, mounted, id: above, depth, viewer, standing, file: undefined };
  }

  /**
   * With whose eyes a caller sees the directories above the cgroup `id`: with its own if it is below,
   * as that cgroup's if that is its own or below it.
   */
  #viewerAt(caller: Caller, mounted: MountedHierarchy, id: number): number | undefined {
    const { is } = this.standing(caller, mounted, id);
    if (is === "foreign") return undefined;
    return is === "ancestor" ? caller.rootId(mounted.hierarchy) : id;
  }

  standing(caller: Caller, mounted: MountedHierarchy, id: number): Standing {
    if (caller.isHost) return { is: "below" };
    const rootId = caller.rootId(mounted.hierarchy);
    return standingOf(id, rootId, mounted.topId, (each) => this.cgroups.parentOf(mounted, each));
  }

  /** @throws if the thread has other ids by now than those it asked with */
  identityOf(seen: Seen, request: RequestHeader): Identity {
    const identity = seen.caller.identity();
    if (identity.filesystemUid !== request.uid || identity.filesystemGid !== request.gid) {
      throw new IdentityChanged("Cannot act for a thread whose ids are not those of its request");
    }
    return identity;
  }

  /** Whether a file is not shown to containers. */
  isHidden(seen: Seen, file: string): boolean {
    return !seen.caller.isHost && isOfTheServer(file);
  }

  /** Limits and the like of the caller's own topmost cgroup are not its own to change. */
  isProtected(seen: Seen, file: string): boolean {
    const { version } = seen.mounted.hierarchy;
    return seen.standing.is === "own" && !isDelegatable(version, file, this.#delegatable);
  }

  /** Does `work` with the caller's pid namespace. @throws if the caller is gone */
  inNamespaceOf<T>(caller: Caller, work: (namespace: PidNamespace) => T): T {
    const namespace = new PidNamespace(this.procRoot, caller.tid, this.knownNumbers);
    try {
      return work(namespace);
    } finally {
      namespace.close();
    }
  }

  /** Name of the next step down from an ancestor; `undefined` where there is none, or it is gone. */
  stepName(seen: Seen): Buffer | undefined {
    if (seen.standing.is !== "ancestor" || seen.standing.step === undefined) return undefined;
    return this.cgroups.nameOf(seen.mounted, seen.standing.step);
  }
}

/** Runs an operation; a system call that fails in it is its answer. */
export function answer(work: () => number): number {
  try {
    return work();
  } catch (error) {
    return -errnoOf(error);
  }
}

function v2Delegatable(): ReadonlySet<string> {
  const text = tryReadFile("/sys/kernel/cgroup/delegate");
  return text === undefined ? V2_DELEGATABLE : new Set(text.split("\n").filter(Boolean));
}
