/**
 * The second connection: files of one container each, whose pages the kernel keeps and hands out
 * itself until they are taken back. A read then costs no round trip at all.
 *
 * OPEN is answered ENOSYS, once: the kernel opens files by itself from then on, and keeps their
 * pages over opens. What makes that right: a file belongs to one container whoever reads it; its
 * size never changes; each page given is announced to `Invalidations` first and taken back when the
 * freshness bound is over.
 */
import type { Operations } from "../fuse/operations.ts";
import { errno } from "../sys/errno.ts";
import type { Invalidations } from "./invalidations.ts";
import { localOf, ownerOf } from "./node_id.ts";
import { attributesWriter, nodeIdOf } from "./node_attributes.ts";
import type { ListedNode, NodeSource } from "./node_source.ts";

export interface CachedOptions {
  /** Containers at its root, each with directories down to the files that `textOf` knows. */
  readonly source: NodeSource;
  /** A text of the file's constant size, made now; `undefined` if it is not to be had. */
  readonly textOf: (reader: number, local: number) => Buffer | undefined;
  readonly invalidations: Invalidations;
  readonly freshnessMs: number;
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly nowMs: () => number;
  /** Wakes the thread that invalidates. */
  readonly wake: () => void;
  readonly startSeconds: number;
  readonly onRead: (local: number, answered: boolean, reader: number) => void;
}

/** Names of files live for ever, as far as the kernel is concerned: they are a container's own. */
const NAME_SECONDS = 86_400;

export interface CachedFilesystem {
  readonly operations: Operations;
  /** To be called when an answer has reached the kernel. */
  readonly answered: () => void;
}

export function cachedFilesystemOf(options: CachedOptions): CachedFilesystem {
  const { source, textOf, invalidations, freshnessMs, nowMs } = options;
  const attributesOf = attributesWriter(options.startSeconds);
  let ticket = -1;
  let dueMs = 0;

  const operations: Operations = {
    lookup(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const found = source.lookup(owner, localOf(request.nodeLow), request.name, request.pid);
      if (found === undefined) return -errno.ENOENT;
      const id = nodeIdOf(found.owner, found.local);
      return reply.entry(id, attributesOf(found), found.validSeconds, NAME_SECONDS);
    },

    getattr(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const node = source.stat(owner, localOf(request.nodeLow), request.pid);
      if (node === undefined) return -errno.ESTALE;
      return reply.attributes(attributesOf(node), NAME_SECONDS);
    },

    readlink(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const target = source.readlink(owner, localOf(request.nodeLow), request.pid);
      return target === undefined ? -errno.ESTALE : reply.text(target);
    },

    read(request, reply) {
      const local = localOf(request.nodeLow);
      const reader = ownerOf(request.nodeLow, request.nodeHigh);
      const startMs = nowMs();
      const text = textOf(reader, local);
      options.onRead(local, text !== undefined, reader);
      if (text === undefined) return -errno.EIO;
      // The kernel reads pages: all of the text is in the first one.
      if (request.offset >= text.length) return 0;
      ticket = invalidations.announce(request.nodeLow, request.nodeHigh, startMs);
      if (ticket < 0) return -errno.EAGAIN;
      dueMs = startMs + freshnessMs;
      return reply.slice(text, request.offset, request.size);
    },

    opendir(_request, reply) {
      return reply.opened(0);
    },

    readdir(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const nodes: readonly ListedNode[] = source.list(
        owner,
        localOf(request.nodeLow),
        request.pid,
      );
      for (let index = request.offset; index < nodes.length; index++) {
        const node = nodes[index];
        if (node === undefined) break;
        if (!reply.dirent(nodeIdOf(node.owner, node.local), node.name, node.mode, index + 1)) break;
      }
      return reply.length;
    },
  };

  const answered = (): void => {
    if (ticket < 0) return;
    const asleep = invalidations.given(ticket, dueMs);
    ticket = -1;
    if (asleep) options.wake();
  };
  return { operations, answered };
}
