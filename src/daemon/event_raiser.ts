/**
 * Has events raised on nodes of the mount, by a process that the kernel takes for one which changes
 * these files (cli/raise_events.ts). A process of its own: the change is a request to this filesystem,
 * and a thread that waits for its answer can't be killed; were it one of the server's, a server killed
 * at that moment would not end, and have no successor.
 *
 * It is started at the first event and ended when there was none for a minute.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { LookedUp } from "../cgroup_tree/change_events.ts";
import { monotonicMs } from "../sys/clock.ts";
import type { Logger } from "../sys/log.ts";
import { spares } from "../sys/spares.ts";
import type { HostNamespace } from "./host_namespace.ts";
import type { WatchedNodes } from "./watched_nodes.ts";

const IDLE_MS = 60_000;
/** Time until another try, should the process fail. */
const RETRY_MS = 1000;
/**
 * Failures in a row after which there is a rest: somebody has unmounted the mountpoint, say, and
 * containers go on with mounts of their own, to whose nodes nothing leads any more.
 */
const MOST_FAILURES = 3;
/** Time that it may take: each event waits for those who are changing the same node. */
const PATIENCE_MS = 10_000;
const REST_MS = 60_000;
/** Descriptors that starting a process takes for a while. */
const DESCRIPTORS = 8;

export interface EventRaiserParts {
  readonly mountpoint: string;
  readonly nodes: WatchedNodes;
  readonly host: HostNamespace;
  readonly log: Logger;
}

export class EventRaiser {
  readonly #parts: EventRaiserParts;
  /** Not told yet: changes that come while the process is at others are one. */
  #waiting = new Map<string, LookedUp>();
  #told = new Map<string, LookedUp>();
  #toldMs = 0;
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #patience: NodeJS.Timeout | undefined;
  #failures = 0;
  #restsUntilMs = 0;

  constructor(parts: EventRaiserParts) {
    this.#parts = parts;
    // Another server's is not ours.
    parts.nodes.raiserPid = 0;
  }

  raise(nodes: readonly LookedUp[]): void {
    for (const node of nodes) this.#waiting.set(`${node.owner} ${node.local}`, node);
    this.#tell();
  }

  #tell(): void {
    if (monotonicMs() < this.#restsUntilMs) this.#waiting.clear();
    if (this.#told.size > 0 || this.#waiting.size === 0) return;
    const child = (this.#child ??= this.#start());
    this.#told = this.#waiting;
    this.#waiting = new Map();
    this.#toldMs = monotonicMs();
    child.stdin.write(`${[...this.#told.keys()].join("\n")}\n\n`);
    this.#patience = setTimeout(() => this.#giveUp(child), PATIENCE_MS).unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => child.stdin.end(), IDLE_MS).unref();
  }

  /** A node that nobody can be watching, or, by an empty line, that all that was told is done. */
  #answered(line: string): void {
    if (line !== "") {
      const node = this.#told.get(line);
      if (node !== undefined) this.#parts.nodes.forget(node, this.#toldMs);
      return;
    }
    clearTimeout(this.#patience);
    this.#told = new Map();
    this.#failures = 0;
    this.#tell();
  }

  #start(): ChildProcessByStdio<Writable, Readable, null> {
    const { mountpoint, host, nodes } = this.#parts;
    const argv = [resolve(process.argv[1] ?? ""), "raise-events", mountpoint];
    spares.give(DESCRIPTORS);
    const child = host.inside(() =>
      spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] }),
    );
    nodes.raiserPid = child.pid ?? 0;
    createInterface({ input: child.stdout }).on("line", (line) => this.#answered(line));
    child.stdin.on("error", () => undefined);
    const gone = (cause: string): void => {
      if (this.#child !== child) return;
      this.#gone(cause);
    };
    child.once("error", (error) => gone(error.message));
    child.once("exit", (code, signal) => gone(`ended with ${code ?? signal}`));
    return child;
  }

  /** One that waits in the kernel may not even end: it is left alone. */
  #giveUp(child: ChildProcess): void {
    if (this.#child !== child) return;
    child.kill("SIGKILL");
    this.#failures = MOST_FAILURES;
    this.#gone(`took more than ${PATIENCE_MS} ms`);
  }

  #gone(cause: string): void {
    clearTimeout(this.#patience);
    this.#child = undefined;
    this.#parts.nodes.raiserPid = 0;
    const told = this.#told;
    this.#told = new Map();
    if (told.size > 0 && ++this.#failures >= MOST_FAILURES) {
      this.#failures = 0;
      this.#restsUntilMs = monotonicMs() + REST_MS;
      this.#parts.log.warn("events of cgroups are not raised for a minute", { cause });
      // What changes meanwhile is told then, as a change of every node.
      setTimeout(() => this.raise(this.#parts.nodes.nodes()), REST_MS).unref();
      return;
    }
    for (const [key, node] of told) this.#waiting.set(key, node);
    setTimeout(() => this.#tell(), RETRY_MS).unref();
  }
}
