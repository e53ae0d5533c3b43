/** From opcode to operation. */
import type { Operations } from "./operations.ts";
import { Opcode } from "./wire/abi.ts";
import type { Reply } from "./wire/reply.ts";
import type { Request } from "./wire/request.ts";

export type Handler = (request: Request, reply: Reply) => number;

/** Operations that are not dispatched by this table: they have no answer. */
type Answered = Exclude<keyof Operations, "forget" | "retrieved" | "interrupt">;

const METHODS: readonly (readonly [number, Answered])[] = [
  [Opcode.LOOKUP, "lookup"],
  [Opcode.GETATTR, "getattr"],
  [Opcode.SETATTR, "setattr"],
  [Opcode.READLINK, "readlink"],
  [Opcode.SYMLINK, "symlink"],
  [Opcode.MKNOD, "mknod"],
  [Opcode.MKDIR, "mkdir"],
  [Opcode.UNLINK, "unlink"],
  [Opcode.RMDIR, "rmdir"],
  [Opcode.RENAME, "rename"],
  [Opcode.RENAME2, "rename"],
  [Opcode.LINK, "link"],
  [Opcode.OPEN, "open"],
  [Opcode.READ, "read"],
  [Opcode.WRITE, "write"],
  [Opcode.STATFS, "statfs"],
  [Opcode.RELEASE, "release"],
  [Opcode.FSYNC, "fsync"],
  [Opcode.SETXATTR, "setxattr"],
  [Opcode.GETXATTR, "getxattr"],
  [Opcode.LISTXATTR, "listxattr"],
  [Opcode.REMOVEXATTR, "removexattr"],
  [Opcode.FLUSH, "flush"],
  [Opcode.OPENDIR, "opendir"],
  [Opcode.READDIR, "readdir"],
  [Opcode.READDIRPLUS, "readdirplus"],
  [Opcode.RELEASEDIR, "releasedir"],
  [Opcode.FSYNCDIR, "fsyncdir"],
  [Opcode.ACCESS, "access"],
  [Opcode.CREATE, "create"],
  [Opcode.POLL, "poll"],
  [Opcode.LSEEK, "lseek"],
];

/** An empty filesystem's own figures: what `df` shows where nothing is said. */
const NO_BLOCKS = {
  blocks: 0,
  bfree: 0,
  bavail: 0,
  files: 0,
  ffree: 0,
  bsize: 4096,
  namelen: 255,
  frsize: 4096,
};

/**
 * Binds the operations that exist to their opcodes. Two have defaults: STATFS, because ENOSYS there
 * makes `df` and `stat -f` fail, and DESTROY, which has nothing to do.
 */
export function handlersOf(operations: Operations): (Handler | undefined)[] {
  const handlers: (Handler | undefined)[] = Array.from({ length: 64 });
  handlers[Opcode.STATFS] = (_request, reply) => reply.statfs(NO_BLOCKS);
  handlers[Opcode.DESTROY] = () => 0;
  for (const [opcode, name] of METHODS) {
    const method: Handler | undefined = operations[name];
    if (method !== undefined) handlers[opcode] = method.bind(operations);
  }
  return handlers;
}
