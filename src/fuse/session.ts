/**
 * Serves requests of one connection, one after the other, in the calling thread. Several sessions,
 * in threads or processes, may serve the same connection.
 *
 * Every request is answered exactly once: by its operation, by the errno of what the operation
 * threw, ENOSYS for what is not implemented, EIO for a message that cannot be decoded. FORGET and
 * NOTIFY_REPLY have no answer. Kernel document: `Documentation/filesystems/fuse.rst`, structures in `linux/fuse.h`.
 */
import { errno, errnoOf } from "../sys/errno.ts";
import type { Channel } from "./channel.ts";
import { handlersOf } from "./handlers.ts";
import type { Handler } from "./handlers.ts";
import type { Operations, RequestHeader } from "./operations.ts";
import { monotonicMs } from "../sys/clock.ts";
import { watchBegin, watchEnd } from "./watch.ts";
import { FUSE_INT_REQ_BIT, FUSE_MIN_READ_BUFFER, Opcode, Size } from "./wire/abi.ts";
import { decodeInit, encodeInit, isFinal, negotiate } from "./wire/init.ts";
import type { InitWishes, Negotiated } from "./wire/init.ts";
import { Reply } from "./wire/reply.ts";
import { Request } from "./wire/request.ts";

export interface SessionOptions extends InitWishes {
  /** A connection that was initialised before: by another session, or by a predecessor. */
  negotiated?: Negotiated;
  /** Called in the one session that gets INIT, before it is answered. */
  onInit?: (negotiated: Negotiated) => void;
  /** Told once of each failure that is not an operation's ordinary answer. Default: nothing. */
  onError?: (error: unknown, opcode: number) => void;
  /**
   * Told of each answer before it is sent, for logs: `result` is its length in bytes or a negative
   * errno. Default: nothing, which costs nothing.
   */
  onAnswer?: (request: RequestHeader, result: number) => void;
  /** A slot of `WATCH_WORDS` words in shared memory that shows the running operation. */
  watch?: Int32Array;
  /** Milliseconds of CLOCK_MONOTONIC for the slot. */
  nowMs?: () => number;
  /** `serve` returns after the request during which the first word became non-zero. */
  stop?: Int32Array;
}

/** Counts since the session was made. */
export interface SessionCounts {
  requests: number;
  /** Messages too short to have a header; they cannot be answered. */
  ignored: number;
  /** Answers refused because the request was gone: interrupted, or answered by somebody else. */
  gone: number;
  /** Operations that threw, malformed messages, answers the kernel called invalid. */
  failed: number;
  /** Requests that an earlier server had left unanswered. */
  resent: number;
}

/** The kernel takes errors from -1 to -511 only. */
const LARGEST_ERRNO = 511;

export class Session {
  readonly counts: SessionCounts = { requests: 0, ignored: 0, gone: 0, failed: 0, resent: 0 };
  readonly #channel: Channel;
  readonly #operations: Operations;
  readonly #handlers: readonly (Handler | undefined)[];
  readonly #options: SessionOptions;
  readonly #watch: Int32Array | undefined;
  readonly #nowMs: () => number;
  readonly #onAnswer: SessionOptions["onAnswer"];
  readonly #requestBytes: number;
  readonly #reply: Reply;
  readonly #request: Request;
  #negotiated: Negotiated | undefined;
  #unmounted = false;

  constructor(channel: Channel, operations: Operations, options: SessionOptions = {}) {
    this.#channel = channel;
    this.#operations = operations;
    this.#handlers = handlersOf(operations);
    this.#options = options;
    this.#watch = options.watch;
    this.#nowMs = options.nowMs ?? monotonicMs;
    this.#onAnswer = options.onAnswer;
    this.#negotiated = options.negotiated;
    const maxWriteBytes = options.negotiated?.maxWriteBytes ?? options.maxWriteBytes ?? 65536;
    const maxPages = options.negotiated?.maxPages ?? options.maxPages ?? 32;
    this.#requestBytes = Math.max(
      FUSE_MIN_READ_BUFFER,
      Size.IN_HEADER + Size.WRITE_IN + maxWriteBytes,
    );
    this.#reply = new Reply(maxPages * 4096);
    this.#request = this.createRequest();
  }

  /** What holds on this connection; `undefined` until this session has seen INIT or been told. */
  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  /** A request of its own for `receive`, to be kept while others are served. */
  createRequest(): Request {
    return new Request(this.#requestBytes);
  }

  /** Serves until the filesystem is unmounted (or `options.stop`). */
  serve(): void {
    const stop = this.#options.stop;
    while (this.serveOne()) {
      if (stop !== undefined && Atomics.load(stop, 0) !== 0) return;
    }
  }

  /** Waits for one request and answers it. @returns false once the filesystem is unmounted */
  serveOne(): boolean {
    if (!this.receive(this.#request)) return false;
    this.dispatch(this.#request);
    return !this.#unmounted;
  }

  /**
   * Waits for a request that can be answered and decodes its header.
   * @returns false once the filesystem is unmounted
   */
  receive(request: Request): boolean {
    for (;;) {
      request.lengthBytes = this.#channel.read(request.buffer);
      if (request.lengthBytes === 0) return false;
      if (request.decodeHeader()) return true;
      this.counts.ignored++;
    }
  }

  /** Carries out and answers a request that `receive` has brought. Throws nothing. */
  dispatch(request: Request): void {
    this.counts.requests++;
    if (request.resent) this.counts.resent++;
    const opcode = request.opcode;
    try {
      request.decodeBody();
    } catch (malformed) {
      this.#failed(malformed, opcode);
      if (hasAnswer(opcode)) this.#send(request, -errno.EIO);
      return;
    }
    const watch = this.#watch;
    if (watch === undefined) {
      this.#carryOut(request);
    } else {
      watchBegin(watch, request, this.#nowMs());
      this.#carryOut(request);
      watchEnd(watch);
    }
  }

  #carryOut(request: Request): void {
    const handler = this.#handlers[request.opcode];
    let result: number;
    try {
      if (handler === undefined) {
        result = this.#special(request);
      } else {
        this.#reply.begin(request.size);
        result = handler(request, this.#reply);
      }
    } catch (thrown) {
      this.#failed(thrown, request.opcode);
      result = hasAnswer(request.opcode) ? -errnoOf(thrown) : NO_ANSWER;
    }
    if (result !== NO_ANSWER) this.#send(request, result);
  }

  /** What no operation answers. */
  #special(request: Request): number {
    switch (request.opcode) {
      case Opcode.FORGET:
        this.#operations.forget?.(request);
        return NO_ANSWER;
      case Opcode.BATCH_FORGET:
        for (let left = request.size; left > 0; left--) {
          request.decodeForgetOne();
          this.#operations.forget?.(request);
        }
        return NO_ANSWER;
      case Opcode.NOTIFY_REPLY:
        this.#operations.retrieved?.(request);
        return NO_ANSWER;
      case Opcode.INIT:
        return this.#init(request);
      case Opcode.INTERRUPT:
        // Operations are short and the request is served in any case: nothing to stop. ENOSYS
        // makes the kernel send no more of these.
        if (this.#operations.interrupt === undefined) return -errno.ENOSYS;
        this.#operations.interrupt(request.interruptedLow, request.interruptedHigh);
        return NO_ANSWER;
      default:
        return -errno.ENOSYS;
    }
  }

  #init(request: Request): number {
    const init = decodeInit(request.buffer, request.lengthBytes);
    const negotiated = negotiate(init, this.#options);
    if (negotiated === undefined) {
      this.#failed(
        new Error(`Cannot serve protocol ${init.major}.${init.minor}: 7.31 is the oldest known`),
        Opcode.INIT,
      );
      return -errno.EPROTO;
    }
    if (isFinal(init)) {
      this.#negotiated = negotiated;
      this.#options.onInit?.(negotiated);
    }
    return encodeInit(this.#reply.data, negotiated);
  }

  #send(request: Request, result: number): void {
    let error = 0;
    let payloadBytes = result;
    if (!(result >= 0 && result <= this.#reply.data.length)) {
      error = result;
      payloadBytes = 0;
      if (!(result >= -LARGEST_ERRNO && result < 0)) {
        error = -errno.EIO;
        this.#failed(new RangeError(`Cannot answer with ${result}`), request.opcode);
      }
    }
    this.#onAnswer?.(request, error === 0 ? payloadBytes : error);
    const reply = this.#reply;
    const length = reply.header(request.uniqueLow, request.uniqueHigh, error, payloadBytes);
    const refused = this.#channel.write(reply.buffer, length);
    if (refused === 0) return;
    if (refused === -errno.ENOENT) this.counts.gone++;
    else if (refused === -errno.ENODEV) this.#unmounted = true;
    else if ((request.uniqueLow & FUSE_INT_REQ_BIT) === 0)
      this.#failed(new SendError(refused, length), request.opcode);
  }

  #failed(thrown: unknown, opcode: number): void {
    this.counts.failed++;
    try {
      this.#options.onError?.(thrown, opcode);
    } catch {
      // Reporting a failure is not worth another one.
    }
  }
}

const NO_ANSWER = Number.MIN_SAFE_INTEGER;

const UNANSWERED: ReadonlySet<number> = new Set([
  Opcode.FORGET,
  Opcode.BATCH_FORGET,
  Opcode.NOTIFY_REPLY,
]);

function hasAnswer(opcode: number): boolean {
  return !UNANSWERED.has(opcode);
}

/** The kernel refused an answer, and has ended the request with EIO itself. */
class SendError extends Error {
  readonly errno: number;

  constructor(refused: number, lengthBytes: number) {
    super(`Cannot send answer of ${lengthBytes} bytes: the kernel says errno ${-refused}`);
    this.name = "SendError";
    this.errno = -refused;
  }
}
