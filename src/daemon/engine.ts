/**
 * The serving loop of one thread: requests are read into the thread's slot, answered by the FUSE
 * session, counted, and only then forgotten.
 */
import { performance } from "node:perf_hooks";
import { DeviceChannel } from "../fuse/channel.ts";
import type { Operations, RequestHeader } from "../fuse/operations.ts";
import { Session } from "../fuse/session.ts";
import { Opcode, opcodeName } from "../fuse/wire/abi.ts";
import type { Negotiated } from "../fuse/wire/init.ts";
import { DEFAULT_INIT_FLAGS } from "../fuse/wire/init.ts";
import { Request } from "../fuse/wire/request.ts";
import { errnoName } from "../sys/errno.ts";
import type { Logger } from "../sys/log.ts";
import type { CounterRow } from "./counters.ts";
import type { Lead } from "./lead.ts";
import { keepNegotiated, negotiatedOf } from "./negotiated.ts";
import { type Connection, type Slot, SLOT_BUFFER_BYTES } from "./slots.ts";
import type { SharedState } from "./state.ts";
import type { Turns } from "./turns.ts";

/** Why a loop ended: its slot said so, or there is no filesystem any more. */
export type End = "stopped" | "unmounted";

/**
 * Without asynchronous direct I/O a thread waits for the answer to everything it asked, so that its
 * number is its own while we look who it is.
 */
const WANTED = DEFAULT_INIT_FLAGS.filter((name) => name !== "ASYNC_DIO");

/**
 * With it containers may mount our files with ids of their own (idmapped mounts, Linux 6.12), and the
 * kernel tells no ids of callers any more: the cgroup tree, which needs those, goes without.
 */
const WANTED_WITH_IDMAP: typeof WANTED = [...WANTED, "ALLOW_IDMAP"];

/** Largest write: what a slot holds besides the headers. */
const MAX_WRITE_BYTES = SLOT_BUFFER_BYTES - 4096;

/**
 * Largest answer, in pages. For each READ the kernel pins as many pages of the reader's buffer as the
 * reader offers, up to this, whatever comes: with 32 pages a reader of 128 KiB (cat) waits a third
 * longer. Nearly every text fits into 4; longer ones take a request for every 16 KiB.
 */
const MAX_PAGES = 4;

export interface EngineParts {
  readonly connection: Connection;
  readonly fuseFd: number;
  /** Whether callers' ids may be left untold, so that mounts can be idmapped. */
  readonly idmap: boolean;
  readonly state: SharedState;
  readonly operations: Operations;
  readonly log: Logger;
  readonly row?: CounterRow;
  /** This thread's part in who waits for the next request; without it, it always does. */
  readonly lead?: Lead;
  /** Whose turn it is where requests queue up; without it they are served as they come. */
  readonly turns?: Turns | undefined;
  /** Told before each request is looked at. */
  readonly beginRequest?: (() => void) | undefined;
  /** Told when the main thread has woken this one because nobody asks. */
  readonly onNudge?: () => void;
}

/** What `--debug` shows. */
function logAnswer(parts: EngineParts, request: RequestHeader, result: number): void {
  parts.log.debug(opcodeName(request.opcode), {
    connection: parts.connection,
    node: request.nodeId,
    thread: request.pid,
    ...(result < 0 ? { error: errnoName(-result) } : { bytes: result }),
  });
}

export class Engine {
  readonly #parts: EngineParts;
  readonly #slot: Slot;
  readonly #channel: DeviceChannel;
  readonly #session: Session;
  readonly #request: Request;

  constructor(slot: Slot, parts: EngineParts) {
    this.#slot = slot;
    this.#parts = parts;
    this.#request = new Request(slot.buffer);
    const negotiated = negotiatedOf(parts.state, parts.connection);
    this.#channel = new DeviceChannel(parts.fuseFd);
    this.#session = new Session(this.#channel, parts.operations, {
      ...(negotiated && { negotiated }),
      maxWriteBytes: MAX_WRITE_BYTES,
      maxPages: MAX_PAGES,
      want: parts.idmap ? WANTED_WITH_IDMAP : WANTED,
      onInit: (outcome: Negotiated) => keepNegotiated(parts.state, parts.connection, outcome),
      onError: (error, opcode) => {
        const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
        parts.log.error("a request failed", { opcode, cause });
      },
      ...(parts.log.tellsDebug && {
        onAnswer: (request, result) => logAnswer(parts, request, result),
      }),
    });
  }

  /** Serves until told to stop. Nothing in here waits but the read of the next request. */
  serve(): End {
    const slot = this.#slot;
    const { lead } = this.#parts;
    lead?.begin();
    while (!slot.stopping || this.#isOneWaiting) {
      if (!this.#next()) return "unmounted";
      this.execute();
      // Forgotten before it may fall asleep: there is nothing to inherit from it.
      slot.clear();
      lead?.settle();
    }
    lead?.end();
    slot.clear();
    return "stopped";
  }

  /** One that is to end finishes what was put off: others may wait in the kernel and not look. */
  get #isOneWaiting(): boolean {
    return this.#parts.turns?.isNext === true;
  }

  /** Leaves the request whose turn it is in the slot. @returns false once the filesystem is gone */
  #next(): boolean {
    const { turns } = this.#parts;
    if (turns === undefined) return this.receive();
    const slot = this.#slot;
    if (!slot.stopping) {
      for (let isMore = turns.isToFetch(); isMore; isMore = turns.isToFetchMore()) {
        if (!this.receive()) return false;
        if (!turns.putOff(slot.request())) return true;
        slot.clear();
      }
    }
    return turns.next((request) => slot.put(request)) || this.receive();
  }

  /** Waits for a request and leaves it in the slot. @returns false once the filesystem is gone */
  receive(): boolean {
    const slot = this.#slot;
    for (;;) {
      slot.clear();
      const count = this.#channel.readOnce(slot.buffer);
      if (count > 0) return true;
      if (count === 0) {
        slot.clear();
        return false;
      }
    }
  }

  /** Carries out and answers the request that lies in the slot. */
  execute(): void {
    const request = this.#request;
    request.lengthBytes = this.#slot.requestBytes;
    if (!request.decodeHeader()) return;
    if (request.opcode === Opcode.NOTIFY_REPLY) {
      this.#parts.onNudge?.();
      return;
    }
    this.#parts.beginRequest?.();
    // Before it is answered: who has its answer may end, and nothing could be found of it.
    this.#parts.turns?.note(request);
    const startMs = performance.now();
    this.#session.dispatch(request);
    if (request.opcode === Opcode.READ) this.#parts.lead?.noteRead(request);
    this.#parts.row?.took((performance.now() - startMs) * 1000);
  }

  /** Whether the request in the slot is the first one of a connection. */
  get holdsInit(): boolean {
    return this.#slot.busy && this.#slot.buffer.readUInt32LE(4) === Opcode.INIT;
  }
}
