/**
 * Memory shared by every worker thread and by every server process of one mount, successors
 * included. It lives in a memfd that the holder keeps open, so what is written here survives the
 * death of the server and an upgrade.
 *
 * Layout: one header page that never changes its form (a magic, a table of words, a few texts, a
 * directory of named regions), then the regions. A newer version finds by name what an older one
 * wrote, and appends what it needs besides; a word or region it does not know stays as it is. That is
 * why both can serve side by side during an upgrade.
 *
 * The file is sparse: a page costs memory only once it is written.
 */
import { mapShared, memfdCreate } from "../sys/native.ts";

const MAGIC = "LXCFSTS1";
/** Address space set aside; only what is written is memory. Mapped whole, so that it never moves. */
const TOTAL_BYTES = 128 << 20;
const PAGE_BYTES = 4096;

const WORDS_AT = 64;
const WORD_COUNT = 128;
const TEXTS_AT = 1024;
const TEXT_BYTES = 256;
const DIRECTORY_AT = 2560;
const ENTRY_BYTES = 48;
const NAME_BYTES = 32;
const MAX_REGIONS = Math.floor((PAGE_BYTES - DIRECTORY_AT) / ENTRY_BYTES);

/** Numbers in the header, 32 bits each. Only ever append: the position is the format. */
const WORDS = [
  /** Counts server processes of this mount, from 1. */
  "generation",
  "holderPid",
  /** The server that takes requests now. */
  "serverPid",
  "protocolMajor",
  "protocolMinor",
  /** FUSE_INIT flags agreed on, lower and upper half. */
  "initFlags",
  "initFlags2",
  "maxWriteBytes",
  /** 1 while every caller is shown the host's values (SIGUSR2). */
  "hostView",
  /** Servers started because one died. */
  "restarts",
  /** Takeovers by a new version. */
  "upgrades",
  "failedUpgrades",
  /** FUSE_NOTIFY_RESEND sent. */
  "resends",
  /** Requests that died with a server and were executed again by its successor. */
  "replays",
  /** Requests answered by the watchdog because their worker did not. */
  "deadlineMisses",
  /** Worker threads that died of an exception and were replaced. */
  "workerDeaths",
  /** Bytes of the regions allocated so far, header page included. */
  "allocatedBytes",
  /** Seconds since the epoch when the mount was made. */
  "startSeconds",
  "mountsAdopted",
  "mountsHealed",
  /** System calls that serving threads were refused. */
  "refusedCalls",
  /** `startSeconds` on CLOCK_MONOTONIC. */
  "startMonotonicSeconds",
  /** Times that a thread found no descriptor free and gave some back. */
  "descriptorShortages",
] as const;
export type StateWord = (typeof WORDS)[number];

/** Texts in the header. Only ever append. */
const TEXTS = [
  /** Version of the server that serves now. */
  "version",
  /** Why the last upgrade did not happen; empty after one that did. */
  "upgradeError",
] as const;
export type StateText = (typeof TEXTS)[number];

const WORD_INDEX = new Map<StateWord, number>(WORDS.map((word, index) => [word, index]));

/** One mapping of the shared memory. Every thread makes its own with `openState`. */
export class SharedState {
  readonly fd: number;
  readonly #memory: ArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;

  constructor(fd: number, memory: ArrayBuffer) {
    this.fd = fd;
    this.#memory = memory;
    this.#words = new Int32Array(memory, WORDS_AT, WORD_COUNT);
    this.#bytes = Buffer.from(memory, 0, PAGE_BYTES);
  }

  get(word: StateWord): number {
    return Atomics.load(this.#words, indexOf(word));
  }

  set(word: StateWord, value: number): void {
    Atomics.store(this.#words, indexOf(word), value);
  }

  /** Adds and returns the new value. */
  add(word: StateWord, count = 1): number {
    return Atomics.add(this.#words, indexOf(word), count) + count;
  }

  text(name: StateText): string {
    const at = textOffset(name);
    const end = this.#bytes.indexOf(0, at);
    return this.#bytes.toString("utf8", at, Math.min(end < 0 ? Infinity : end, at + TEXT_BYTES));
  }

  /** Longer texts are cut: the header has a fixed form. */
  setText(name: StateText, value: string): void {
    const at = textOffset(name);
    const field = this.#bytes.subarray(at, at + TEXT_BYTES);
    field.fill(0);
    field.write(value, 0, TEXT_BYTES - 1, "utf8");
  }

  /** The memory of a region that exists. @throws Error if it was never set aside */
  region(name: string): { buffer: ArrayBuffer; byteOffset: number; byteLength: number } {
    const found = this.#find(name);
    if (found === undefined) throw new Error(`Cannot use shared region ${name}: it does not exist`);
    return { buffer: this.#memory, ...found };
  }

  /**
   * Sets a region aside, zeroed and page-aligned, unless it is there. A region that exists but is
   * smaller than asked for is given up and made anew at the asked size: its owner must treat
   * zeroes as "no history". Called by the main thread only, before its workers start.
   */
  ensureRegion(name: string, byteLength: number): void {
    const found = this.#find(name);
    if (found !== undefined && found.byteLength >= byteLength) return;
    const index = this.#entryFor(name);
    const byteOffset = Math.max(this.get("allocatedBytes"), PAGE_BYTES);
    const end = byteOffset + Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES;
    if (end > this.#memory.byteLength) {
      throw new Error(`Cannot set aside shared region ${name}: ${byteLength} bytes are too many`);
    }
    this.set("allocatedBytes", end);
    const at = DIRECTORY_AT + index * ENTRY_BYTES;
    this.#bytes.fill(0, at, at + ENTRY_BYTES);
    this.#bytes.writeUInt32LE(byteOffset, at + NAME_BYTES);
    this.#bytes.writeUInt32LE(byteLength, at + NAME_BYTES + 4);
    this.#bytes.write(name, at, NAME_BYTES - 1, "latin1");
  }

  #find(name: string): { byteOffset: number; byteLength: number } | undefined {
    for (let index = 0; index < MAX_REGIONS; index++) {
      const at = DIRECTORY_AT + index * ENTRY_BYTES;
      if (this.#nameAt(at) !== name) continue;
      return {
        byteOffset: this.#bytes.readUInt32LE(at + NAME_BYTES),
        byteLength: this.#bytes.readUInt32LE(at + NAME_BYTES + 4),
      };
    }
    return undefined;
  }

  /** Directory position of `name`, or the first free one. */
  #entryFor(name: string): number {
    for (let index = 0; index < MAX_REGIONS; index++) {
      const taken = this.#nameAt(DIRECTORY_AT + index * ENTRY_BYTES);
      if (taken === name || taken === "") return index;
    }
    throw new Error(`Cannot set aside shared region ${name}: the directory is full`);
  }

  #nameAt(at: number): string {
    const end = this.#bytes.indexOf(0, at);
    return this.#bytes.toString("latin1", at, Math.min(end, at + NAME_BYTES));
  }
}

/** Makes the memory of a new mount. The descriptor is inherited across exec. */
export function createState(): SharedState {
  const fd = memfdCreate("lxcfs-state", TOTAL_BYTES);
  const memory = mapShared(fd, TOTAL_BYTES);
  Buffer.from(memory, 0, MAGIC.length).write(MAGIC, "latin1");
  return new SharedState(fd, memory);
}

/** Maps the memory behind `fd`. @throws Error if it is not shared state of this project */
export function openState(fd: number): SharedState {
  const memory = mapShared(fd, TOTAL_BYTES);
  const magic = Buffer.from(memory, 0, MAGIC.length).toString("latin1");
  if (magic !== MAGIC) {
    throw new Error(
      `Cannot use shared state of fd ${fd}: it begins with ${JSON.stringify(magic)}, not ${MAGIC}`,
    );
  }
  return new SharedState(fd, memory);
}

function indexOf(word: StateWord): number {
  return WORD_INDEX.get(word) ?? 0;
}

function textOffset(name: StateText): number {
  return TEXTS_AT + TEXTS.indexOf(name) * TEXT_BYTES;
}
