/** The answer to a request whose thread hangs: better an error now than a reader that waits for ever. */
import { Size } from "../fuse/wire/abi.ts";
import { errno } from "../sys/errno.ts";

/** EIO for the raw request, as a message for the kernel. */
export function lateReply(request: Buffer): Buffer {
  const reply = Buffer.alloc(Size.OUT_HEADER);
  reply.writeUInt32LE(Size.OUT_HEADER, 0);
  reply.writeInt32LE(-errno.EIO, 4);
  request.copy(reply, 8, 8, 16);
  return reply;
}
