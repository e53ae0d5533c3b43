/**
 * FUSE filesystems in TypeScript, without libfuse: the kernel protocol 7.31 to 7.45 spoken directly
 * over `/dev/fuse`.
 *
 * A filesystem is an object of synchronous operations (`Operations`). `mountFilesystem` mounts it
 * and gives a session whose `serve` answers requests in the calling thread until it is unmounted.
 * The parts it is made of (`openFuseDevice`, `mountFuse`, `DeviceChannel`, `Session`) are there for
 * servers with several threads or processes.
 *
 * @module
 */
export { encodeReplyInto, replyData, replyError } from "./answer.ts";
export type { RequestId } from "./answer.ts";
export { cloneFuseDevice, DeviceChannel } from "./channel.ts";
export type { Channel } from "./channel.ts";
export { mountFilesystem } from "./filesystem.ts";
export type { FilesystemOptions, MountedFilesystem } from "./filesystem.ts";
export {
  detachDeadMounts,
  isDeadMount,
  MountError,
  mountFuse,
  openFuseDevice,
  unmountFuse,
} from "./mount.ts";
export type { MountOptions } from "./mount.ts";
export { Notifier } from "./notify.ts";
export type * from "./operations.ts";
export { Session } from "./session.ts";
export type { SessionCounts, SessionOptions } from "./session.ts";
export { monotonicMs } from "../sys/clock.ts";
export { Watch, WATCH_WORDS, watchBegin, watchEnd, watchRead } from "./watch.ts";
export type { WatchedOperation, WatchedRequest } from "./watch.ts";
export {
  DT,
  FATTR,
  FOPEN,
  FUSE_POLL_SCHEDULE_NOTIFY,
  FUSE_ROOT_ID,
  hasFlag,
  InitFlag,
  Opcode,
  opcodeName,
} from "./wire/abi.ts";
export type { InitFlagName } from "./wire/abi.ts";
export { DEFAULT_INIT_FLAGS } from "./wire/init.ts";
export type { InitWishes, Negotiated } from "./wire/init.ts";
export { FOREVER_SECONDS } from "./wire/reply.ts";
export type { Attributes, Reply, Statfs } from "./wire/reply.ts";
export type { Request } from "./wire/request.ts";
export { errno } from "../sys/errno.ts";
