/**
 * Where the daemon meets the filesystem: what a serving thread is given, and what it serves. The
 * daemon knows nothing of containers; the filesystem knows nothing of processes and threads.
 */
import type { Operations } from "../fuse/operations.ts";
import { errno } from "../sys/errno.ts";
import type { Logger } from "../sys/log.ts";
import type { ViewConfig } from "./config.ts";
import type { CounterRow } from "./counters.ts";
import type { SharedState } from "./state.ts";

/** What a serving thread's filesystem works with. */
export interface FilesystemContext {
  readonly view: ViewConfig;
  /** Shared with all threads and with successors; regions are set aside in `filesystem_memory.ts`. */
  readonly state: SharedState;
  readonly log: Logger;
  /** Place of a file in the request counters; all names are given in `filesystem_memory.ts`. */
  place(file: string): number;
  /** Where this thread counts. */
  readonly row: CounterRow;
}

/** The filesystem of one serving thread. */
export function createFilesystem(context: FilesystemContext): Operations {
  const { row, state } = context;
  const meminfo = context.place("proc/meminfo");
  const directory = (ino: number): { ino: number; mode: number } => ({ ino, mode: 0o40555 });
  const file = { ino: 3, mode: 0o100444 };
  return {
    lookup(request, reply) {
      if (request.nodeId === 1 && request.name === "proc") return reply.entry(2, directory(2));
      if (request.nodeId === 2 && request.name === "meminfo") return reply.entry(3, file);
      return -errno.ENOENT;
    },
    getattr(request, reply) {
      return reply.attributes(request.nodeId === 3 ? file : directory(request.nodeId));
    },
    open(_request, reply) {
      return reply.opened(0, 1);
    },
    read(request, reply) {
      row.count(meminfo, "ok");
      if (request.offset > 0) return 0;
      return reply.text(`MemTotal:       ${state.get("hostView") ? 4194304 : 262144} kB\n`);
    },
    opendir(_request, reply) {
      return reply.opened(0);
    },
    readdir(request, reply) {
      if (request.offset > 0) return 0;
      if (request.nodeId === 1) reply.dirent(2, "proc", 0o40555, 1);
      else reply.dirent(3, "meminfo", 0o100444, 1);
      return reply.length;
    },
  };
}
