/**
 * ttRPC, containerd's RPC for sockets: unary calls only, which is all that NRI uses. A message is
 *
 *   00 00 00 05   length of the data, big-endian, at most 4 MiB
 *   00 00 00 01   stream: odd, chosen by the caller
 *   01            type: 1 request, 2 response, 3 data
 *   00            flags: none in unary calls
 *   ...           data: protobuf
 *
 *   Request  { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; }
 *   Response { Status status = 1; bytes payload = 2; }   Status { int32 code = 1; string message = 2; }
 */
import { fields, MessageWriter } from "./protobuf.ts";
import type { Stream } from "./mux.ts";

const HEADER_BYTES = 10;
const MAX_DATA_BYTES = 4 << 20;
const REQUEST = 1;
const RESPONSE = 2;

/** Codes of gRPC, of which ttRPC's are. */
export const STATUS = { OK: 0, UNKNOWN: 2, UNIMPLEMENTED: 12 } as const;

/** A call that the other side answered with an error. */
export class RpcError extends Error {
  readonly code: number;

  constructor(doing: string, code: number, found: string) {
    super(`Cannot ${doing}: got status ${code}, ${found}`);
    this.name = "RpcError";
    this.code = code;
  }
}

/** Answers a call. Whatever it throws becomes an error status. */
export type Handler = (payload: Buffer) => Buffer | Promise<Buffer>;

interface Message {
  stream: number;
  type: number;
  data: Buffer;
}

/** Cuts a byte stream into messages. */
function receiveMessages(stream: Stream, onMessage: (message: Message) => void): void {
  let pending = Buffer.alloc(0);
  stream.onData = (bytes) => {
    pending = pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([pending, bytes]);
    while (pending.length >= HEADER_BYTES) {
      const length = pending.readUInt32BE(0);
      if (length > MAX_DATA_BYTES)
        throw new RangeError(`Cannot read ttRPC message: ${length} bytes are too many`);
      const end = HEADER_BYTES + length;
      if (pending.length < end) return;
      const data = pending.subarray(HEADER_BYTES, end);
      onMessage({ stream: pending.readUInt32BE(4), type: pending.readUInt8(8), data });
      pending = pending.subarray(end);
    }
  };
}

function sendMessage(stream: Stream, { stream: id, type, data }: Message): void {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(data.length, 0);
  header.writeUInt32BE(id, 4);
  header.writeUInt8(type, 8);
  stream.write(Buffer.concat([header, data]));
}

/** Answers calls of `service` that arrive on `stream`; each method by its handler. */
export function serveRpc(
  stream: Stream,
  service: string,
  handlers: Readonly<Record<string, Handler>>,
): void {
  receiveMessages(stream, ({ stream: id, type, data }) => {
    if (type !== REQUEST) return;
    const reply = (payload: Buffer) => {
      const response = new MessageWriter().message(1, Buffer.alloc(0)).bytes(2, payload).finish();
      sendMessage(stream, { stream: id, type: RESPONSE, data: response });
    };
    const fail = (code: number, message: string) => {
      const status = new MessageWriter().integer(1, code).string(2, message).finish();
      const response = new MessageWriter().message(1, status).finish();
      sendMessage(stream, { stream: id, type: RESPONSE, data: response });
    };
    const answer = async () => {
      const request = decodeRequest(data);
      const handler = handlers[request.method];
      if (request.service !== service || !handler)
        fail(STATUS.UNIMPLEMENTED, `no method ${request.service}/${request.method}`);
      else reply(await handler(request.payload));
    };
    answer().catch((error: unknown) => fail(STATUS.UNKNOWN, String(error)));
  });
}

function decodeRequest(data: Buffer): { service: string; method: string; payload: Buffer } {
  const request = { service: "", method: "", payload: Buffer.alloc(0) };
  for (const { number, bytes } of fields(data)) {
    if (number === 1) request.service = bytes.toString();
    else if (number === 2) request.method = bytes.toString();
    else if (number === 3) request.payload = Buffer.from(bytes);
  }
  return request;
}

/** Calls of one service on one stream. */
export class RpcClient {
  readonly #stream: Stream;
  readonly #service: string;
  readonly #waiting = new Map<number, (data: Buffer) => void>();
  #nextStream = 1;

  constructor(stream: Stream, service: string) {
    this.#stream = stream;
    this.#service = service;
    receiveMessages(stream, ({ stream: id, type, data }) => {
      const resolve = this.#waiting.get(id);
      if (type !== RESPONSE || !resolve) return;
      this.#waiting.delete(id);
      resolve(data);
    });
  }

  /** @throws RpcError if the answer is an error or does not come within `timeoutMs` */
  call(method: string, payload: Buffer, timeoutMs: number): Promise<Buffer> {
    const id = this.#nextStream;
    this.#nextStream += 2;
    const doing = `call ${this.#service}/${method}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`Cannot ${doing}: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.set(id, (data) => {
        clearTimeout(timer);
        try {
          resolve(decodeResponse(doing, data));
        } catch (error) {
          reject(error);
        }
      });
      const request = new MessageWriter()
        .string(1, this.#service)
        .string(2, method)
        .bytes(3, payload)
        .integer(4, timeoutMs * 1_000_000)
        .finish();
      sendMessage(this.#stream, { stream: id, type: REQUEST, data: request });
    });
  }
}

function decodeResponse(doing: string, data: Buffer): Buffer {
  let payload = Buffer.alloc(0);
  let code = 0;
  let message = "";
  for (const { number, bytes } of fields(data)) {
    if (number === 2) payload = Buffer.from(bytes);
    if (number !== 1) continue;
    for (const status of fields(bytes)) {
      if (status.number === 1) code = status.integer;
      else if (status.number === 2) message = status.bytes.toString();
    }
  }
  if (code !== STATUS.OK) throw new RpcError(doing, code, message);
  return payload;
}
