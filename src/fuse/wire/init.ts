/**
 * INIT: what the kernel offers, and what is chosen of it (`struct fuse_init_in`, `fuse_init_out`).
 * The connection is made once; a later process on the same descriptor sees no second INIT, so the
 * outcome is a plain value that can be handed on.
 */
import {
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_OLDEST_MINOR_VERSION,
  hasFlag,
  InitFlag,
  Size,
} from "./abi.ts";
import type { InitFlagName } from "./abi.ts";
import { MessageTooShort } from "./cursor.ts";

/** What the kernel says in INIT. */
export interface InitIn {
  major: number;
  minor: number;
  maxReadaheadBytes: number;
  /** See `InitFlag`. */
  flags: number;
}

/** What holds on a connection. Plain: may be stored, sent to a worker, given to a successor. */
export interface Negotiated {
  major: number;
  minor: number;
  /** What the kernel offered. */
  offered: number;
  /** What of it was taken. */
  flags: number;
  maxReadaheadBytes: number;
  maxWriteBytes: number;
  maxPages: number;
  maxBackground: number;
  congestionThreshold: number;
  timeGranularityNs: number;
  requestTimeoutSeconds: number;
}

/** What a filesystem asks for. */
export interface InitWishes {
  /** Flags to take if offered; default `DEFAULT_INIT_FLAGS`. */
  want?: readonly InitFlagName[];
  /** Longest WRITE; the request buffer must hold it. Default 64 KiB. */
  maxWriteBytes?: number;
  /** How far the kernel may read ahead into its page cache. Default 128 KiB. */
  maxReadaheadBytes?: number;
  /** Largest request and answer in pages of 4 KiB. Default 32. */
  maxPages?: number;
  /** Read-ahead and other requests without a waiting process that may be under way. Default 64. */
  maxBackground?: number;
  /** Seconds after which the kernel gives a request up and *aborts the connection* (7.43); 0: never. */
  requestTimeoutSeconds?: number;
}

/**
 * Taken unless a filesystem says otherwise: reads in parallel, lookups and directory reads in
 * parallel, everything that only tells what the kernel can do. ATOMIC_O_TRUNC is not here: with it the
 * kernel sets the size to 0 by itself, where a filesystem may truncate nothing. ALLOW_IDMAP is not here: the kernel
 * fails the whole connection if it is taken on a mount without `default_permissions`, and with it
 * requests that create nothing carry no uid and gid (both are 2^32 - 1).
 */
export const DEFAULT_INIT_FLAGS: readonly InitFlagName[] = [
  "ASYNC_READ",
  "BIG_WRITES",
  "ASYNC_DIO",
  "PARALLEL_DIROPS",
  "NO_OPEN_SUPPORT",
  "NO_OPENDIR_SUPPORT",
  "MAX_PAGES",
  "ABORT_ERROR",
  "AUTO_INVAL_DATA",
  "HAS_EXPIRE_ONLY",
  "HAS_RESEND",
];

/** Decodes the body of INIT. @throws MessageTooShort */
export function decodeInit(message: Buffer, lengthBytes: number): InitIn {
  const at = Size.IN_HEADER;
  const end = Math.min(lengthBytes, message.length);
  if (end < at + Size.INIT_IN_SHORT) throw new MessageTooShort(at + Size.INIT_IN_SHORT, end);
  let flags = message.readUInt32LE(at + 12);
  if (hasFlag(flags, InitFlag.INIT_EXT) && end >= at + Size.INIT_IN_SHORT + 4) {
    // Bits that no plain number holds exactly (53 and up) belong to no protocol known here.
    flags += (message.readUInt32LE(at + 16) & 0x1fffff) * 2 ** 32;
  }
  return {
    major: message.readUInt32LE(at),
    minor: message.readUInt32LE(at + 4),
    maxReadaheadBytes: message.readUInt32LE(at + 8),
    flags,
  };
}

/**
 * Chooses the protocol.
 * @returns what will hold; `undefined` if the kernel is too old (before 7.31) and must be refused.
 *   A `major` above ours is answered with ours, and another INIT follows: see `isFinal`.
 */
export function negotiate(init: InitIn, wishes: InitWishes): Negotiated | undefined {
  if (init.major < FUSE_KERNEL_VERSION) return undefined;
  const foreign = init.major > FUSE_KERNEL_VERSION;
  if (!foreign && init.minor < FUSE_OLDEST_MINOR_VERSION) return undefined;

  const offered = foreign ? 0 : init.flags;
  let flags = 0;
  for (const name of new Set([...(wishes.want ?? DEFAULT_INIT_FLAGS), "INIT_EXT" as const])) {
    if (hasFlag(offered, InitFlag[name])) flags += InitFlag[name];
  }
  const timeout = wishes.requestTimeoutSeconds ?? 0;
  const hasTimeout = timeout > 0 && hasFlag(offered, InitFlag.REQUEST_TIMEOUT);
  if (hasTimeout && !hasFlag(flags, InitFlag.REQUEST_TIMEOUT)) flags += InitFlag.REQUEST_TIMEOUT;
  const maxBackground = wishes.maxBackground ?? 64;
  return {
    major: FUSE_KERNEL_VERSION,
    minor: foreign ? FUSE_KERNEL_MINOR_VERSION : Math.min(init.minor, FUSE_KERNEL_MINOR_VERSION),
    offered,
    flags,
    maxReadaheadBytes: Math.min(init.maxReadaheadBytes, wishes.maxReadaheadBytes ?? 131072),
    maxWriteBytes: wishes.maxWriteBytes ?? 65536,
    maxPages: wishes.maxPages ?? 32,
    maxBackground,
    congestionThreshold: Math.ceil((maxBackground * 3) / 4),
    timeGranularityNs: 1,
    requestTimeoutSeconds: hasTimeout ? timeout : 0,
  };
}

/** Whether INIT is over: a kernel with a higher major sends another one after our answer. */
export function isFinal(init: InitIn): boolean {
  return init.major === FUSE_KERNEL_VERSION;
}

/** Writes `struct fuse_init_out` at the start of `payload`. @returns its length in bytes */
export function encodeInit(payload: Buffer, negotiated: Negotiated): number {
  payload.fill(0, 0, Size.INIT_OUT);
  payload.writeUInt32LE(negotiated.major, 0);
  payload.writeUInt32LE(negotiated.minor, 4);
  payload.writeUInt32LE(negotiated.maxReadaheadBytes, 8);
  payload.writeUInt32LE(negotiated.flags % 2 ** 32, 12);
  payload.writeUInt16LE(negotiated.maxBackground, 16);
  payload.writeUInt16LE(negotiated.congestionThreshold, 18);
  payload.writeUInt32LE(negotiated.maxWriteBytes, 20);
  payload.writeUInt32LE(negotiated.timeGranularityNs, 24);
  payload.writeUInt16LE(negotiated.maxPages, 28);
  payload.writeUInt16LE(0, 30); // map_alignment
  payload.writeUInt32LE(Math.floor(negotiated.flags / 2 ** 32), 32);
  payload.writeUInt32LE(0, 36); // max_stack_depth
  payload.writeUInt16LE(negotiated.requestTimeoutSeconds, 40);
  return Size.INIT_OUT;
}
