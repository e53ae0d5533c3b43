/**
 * Texts of files: made from a container's machine, or the host's own; shared for as long as the
 * freshness bound allows. One renderer a thread.
 *
 * A view that fails costs its reader nothing but freshness: the last good text is given again, or
 * the host's file.
 */
import type { Container } from "../caller/container.ts";
import { InTurn } from "../caller/in_turn.ts";
import type { Machine } from "../machine/machine.ts";
import type { Host } from "../machine/host.ts";
import { errnoOf } from "../sys/errno.ts";
import { isExhaustion } from "../sys/exhaustion.ts";
import type { Making, Newest } from "./newest.ts";
import { toContainerText } from "./sys/host_text.ts";
import { nodeMeminfo } from "./sys/node_meminfo.ts";
import { nodeVmstat } from "./sys/node_vmstat.ts";
import { itemOf, type Item } from "./tree.ts";

export interface RendererOptions {
  readonly host: Host;
  /** The machine of a container; the same object for the same container. */
  readonly machineOf: (container: Container) => Machine;
  /** CLOCK_MONOTONIC in milliseconds, the same for all threads. */
  readonly nowMs: () => number;
  readonly newest: Newest;
  /** Age in milliseconds up to which a text is given again; 0: never. */
  readonly freshnessMs: number;
  /** Told before a text is made that may take a while: the first of its kind, or slow the last time. */
  readonly onSlow?: () => void;
  /** Told of views that threw. */
  readonly onError: (error: unknown, path: string) => void;
}

interface Kept {
  /** What `text` is a part of: used again for the next text, if that fits. */
  buffer: Buffer;
  text: Buffer;
  making: Making;
  /** When the reading of what it is made of began. */
  atMs: number;
  /** How long it took to make. */
  tookMs: number;
}

/** A text that took longer than this to make is expected to do so again. */
const SLOW_MS = 1;

/** Texts of containers that have ended are kept for so long after they were last made. */
const ENDED_MS = 60_000;

/** Containers of which texts are kept at most. */
const MAX_CONTAINERS = 4096;
/** Stands for the host among the keys of containers. */
const HOST = 0;

const NOTHING = Buffer.alloc(0);
/** Room is taken in steps of this, so that a text that gets a little longer fits where it was. */
const STEP_BYTES = 256;

/** Puts a text where the one before was, if it fits there. */
function put(kept: Kept, made: string): void {
  const lengthBytes = made.length;
  if (lengthBytes > kept.buffer.length) {
    kept.buffer = Buffer.allocUnsafeSlow(Math.ceil(lengthBytes / STEP_BYTES) * STEP_BYTES);
    kept.text = NOTHING;
  }
  kept.buffer.write(made, 0, "latin1");
  if (kept.text.length !== lengthBytes) kept.text = kept.buffer.subarray(0, lengthBytes);
}

export class Renderer {
  readonly #options: RendererOptions;
  /** By container's key and file's number. */
  readonly #kept = new Map<number, Map<number, Kept>>();
  readonly #inTurn = new InTurn(this.#kept);

  constructor(options: RendererOptions) {
    this.#options = options;
  }

  /**
   * The text of file `local` for a container, `undefined` standing for the host.
   * @returns good until the next call; `undefined` if neither the container's nor the host's text is
   * to be had
   */
  text(container: Container | undefined, local: number): Buffer | undefined {
    return this.fresh(container?.key ?? HOST, local) ?? this.#anew(container, local);
  }

  /**
   * The text of a file by its container's key, 0 for the host, if it was made just now. Then nothing
   * more has to be looked at, not even whether the container still lives.
   * @returns good until the next call
   */
  fresh(key: number, local: number): Buffer | undefined {
    const kept = this.#kept.get(key)?.get(local);
    if (kept === undefined) return undefined;
    const { freshnessMs, nowMs, newest } = this.#options;
    const isFresh = nowMs() - kept.atMs < freshnessMs && newest.isNewest(kept.making);
    return isFresh ? kept.text : undefined;
  }

  #anew(container: Container | undefined, local: number): Buffer | undefined {
    const { nowMs, newest } = this.#options;
    const atMs = nowMs();
    const key = container?.key ?? HOST;
    const texts = this.#texts(key);
    const kept = texts.get(local);
    const item = itemOf(local);
    if (item === undefined) return undefined;
    if (kept === undefined || kept.tookMs > SLOW_MS) this.#options.onSlow?.();
    const making = newest.begin(key, local, atMs);
    let made: string | undefined;
    try {
      made = this.#make(container, item, kept !== undefined);
    } finally {
      newest.end(making);
    }
    if (made === undefined) return kept?.text;
    const keeps = kept ?? { buffer: NOTHING, text: NOTHING, making, atMs, tookMs: 0 };
    put(keeps, made);
    keeps.making = making;
    keeps.atMs = atMs;
    keeps.tookMs = nowMs() - atMs;
    if (kept === undefined) texts.set(local, keeps);
    return keeps.text;
  }

  /**
   * Lets go of the texts of containers that have ended. Not at once: who has a file of theirs open is
   * given the last text.
   * @param most containers to look at
   */
  forgetEnded(most: number, lives: (containerKey: number) => boolean): void {
    const sinceMs = this.#options.nowMs() - ENDED_MS;
    this.#inTurn.some(most, (texts, key) => {
      if (key === HOST || lives(key)) return;
      for (const { atMs } of texts.values()) if (atMs > sinceMs) return;
      this.#kept.delete(key);
    });
  }

  /** Containers of which texts are kept. */
  get size(): number {
    return this.#kept.size;
  }

  /** The last text made of a file, however old; for a request that cannot wait. */
  last(containerKey: number, local: number): Buffer | undefined {
    return this.#kept.get(containerKey)?.get(local)?.text;
  }

  #texts(key: number): Map<number, Kept> {
    let texts = this.#kept.get(key);
    if (texts === undefined) {
      if (this.#kept.size >= MAX_CONTAINERS) this.#kept.clear();
      this.#kept.set(key, (texts = new Map()));
    }
    return texts;
  }

  /** @param hasLast whether a text of this file was made before, which is better than the host's */
  #make(container: Container | undefined, item: Item, hasLast: boolean): string | undefined {
    if (container !== undefined) {
      try {
        const text = this.#own(this.#options.machineOf(container), item);
        if (text !== undefined) return text;
      } catch (error) {
        this.#options.onError(error, item.path);
        if (hasLast) return undefined;
        // It says nothing about the container: the host's values would be wrong ones.
        if (isExhaustion(errnoOf(error))) throw error;
      }
    }
    return this.#hosts(item);
  }

  #own(machine: Machine, item: Item): string | undefined {
    if (item.view !== undefined) return item.view.render(machine);
    const name = item.name ?? "";
    if (item.cpu !== undefined) {
      const hostCpu = machine.topology().hostCpus[item.cpu];
      if (hostCpu === undefined) return undefined;
      const text = machine.host.sysText(`devices/system/cpu/cpu${hostCpu}/${name}`);
      return text && toContainerText(machine, name, text);
    }
    if (item.node !== undefined) {
      if (name === "meminfo") return nodeMeminfo(machine, item.node);
      if (name === "vmstat" || name === "numastat") return nodeVmstat(machine, item.node, name);
    }
    const text = machine.host.sysText(item.path.slice("sys/".length));
    return text && toContainerText(machine, name, text);
  }

  #hosts(item: Item): string | undefined {
    const { host } = this.#options;
    if (item.view?.renderHost !== undefined) return item.view.renderHost(host);
    if (item.path.startsWith("proc/")) return host.procText(item.path.slice("proc/".length));
    return host.sysText(item.path.slice("sys/".length));
  }
}
