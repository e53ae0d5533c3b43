/**
 * NRI's multiplexing: several connections over one socket, so that plugin and runtime can each be
 * the other's client. Every frame is
 *
 *   00 00 00 01   id of the connection, big-endian; 0 is reserved
 *   00 00 00 0a   length of what follows, big-endian
 *   ...           bytes of that connection's stream
 *
 * There is no opening and closing: both sides know the ids.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

/** The runtime calls the plugin on this one. */
export const PLUGIN_CONNECTION = 1;
/** The plugin calls the runtime on this one. */
export const RUNTIME_CONNECTION = 2;

const HEADER_BYTES = 8;
/** A ttRPC message with its header. */
const MAX_PAYLOAD_BYTES = (4 << 20) + 10;
/**
 * The runtime's reader hands each frame to a buffered reader of 4096 bytes as a whole, and fails
 * where it does not fit.
 */
const MAX_SENT_BYTES = 4096;

/** One of the connections: bytes in, bytes out. */
export interface Stream {
  write(bytes: Buffer): void;
  /** Called with whatever arrives, in pieces of any size. */
  onData: (bytes: Buffer) => void;
}

/** Splits what comes from `socket`, and frames what goes to it. */
export class Mux {
  readonly #socket: Socket;
  readonly #streams = new Map<number, Stream>();
  #pending: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      try {
        this.#read(bytes);
      } catch (error) {
        // Where a stream's framing is lost nothing after it can be understood: start over.
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** The connection `id`. What arrives for an id that nobody opened is dropped. */
  open(id: number): Stream {
    const stream: Stream = { write: (bytes) => this.#write(id, bytes), onData: () => undefined };
    this.#streams.set(id, stream);
    return stream;
  }

  #write(id: number, bytes: Buffer): void {
    this.#socket.cork();
    for (let at = 0; at < bytes.length; at += MAX_SENT_BYTES) {
      const part = bytes.subarray(at, at + MAX_SENT_BYTES);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32BE(id, 0);
      header.writeUInt32BE(part.length, 4);
      this.#socket.write(header);
      this.#socket.write(part);
    }
    this.#socket.uncork();
  }

  #read(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#pending.length >= HEADER_BYTES && !this.#socket.destroyed) {
      const id = this.#pending.readUInt32BE(0);
      const length = this.#pending.readUInt32BE(4);
      if (length > MAX_PAYLOAD_BYTES) {
        const found = `a frame of ${length} bytes, at most ${MAX_PAYLOAD_BYTES} are allowed`;
        throw new RangeError(`Cannot read from the runtime: ${found}`);
      }
      const end = HEADER_BYTES + length;
      if (this.#pending.length < end) return;
      const payload = this.#pending.subarray(HEADER_BYTES, end);
      this.#pending = this.#pending.subarray(end);
      this.#streams.get(id)?.onData(payload);
    }
  }
}
