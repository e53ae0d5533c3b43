/**
 * The second connection: files of one container each, whose pages the kernel keeps and hands out
 * itself for as long as `PageLifetime` says. A read then costs no round trip at all.
 *
 * OPEN is answered ENOSYS, once: the kernel opens files by itself from then on, and keeps their
 * pages over opens. What makes that right: a file belongs to one container whoever reads it; its
 * size never changes; when its attributes are asked for anew, its page is older than they say.
 */
import type { Operations } from "../fuse/operations.ts";
import type { Attributes } from "../fuse/wire/reply.ts";
import { errno } from "../sys/errno.ts";
import { localOf, ownerOf } from "./node_id.ts";
import { attributesWriter, nodeIdOf } from "./node_attributes.ts";
import type { FoundNode, ListedNode, NodeSource } from "./node_source.ts";
import type { PageLifetime } from "./page_lifetime.ts";

export interface CachedOptions {
  /** Containers at its root, each with directories down to the files that `textOf` knows. */
  readonly source: NodeSource;
  /** A text of the file's constant size, made now; `undefined` if it is not to be had. */
  readonly textOf: (reader: number, local: number) => Buffer | undefined;
  readonly lifetime: PageLifetime;
  /** Milliseconds since the mount was made, by a clock that never goes back. */
  readonly sinceStartMs: () => number;
  /** When that was. Seconds since the epoch. */
  readonly startSeconds: number;
  readonly onRead: (local: number, answered: boolean, reader: number) => void;
}

/** Names of files live for ever, as far as the kernel is concerned: they are a container's own. */
const NAME_SECONDS = 86_400;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

export function cachedFilesystemOf(options: CachedOptions): Operations {
  const { source, textOf, sinceStartMs, startSeconds } = options;
  const { attributesSeconds, stepMs } = options.lifetime;
  const write = attributesWriter(startSeconds);
  const isFile = ({ mode }: FoundNode): boolean => (mode & S_IFMT) === S_IFREG;
  const validSeconds = (node: FoundNode): number =>
    isFile(node) ? attributesSeconds : NAME_SECONDS;
  const attributesOf = (node: FoundNode): Attributes => {
    if (!isFile(node)) return write(node);
    return write(node, startSeconds + (Math.floor(sinceStartMs() / stepMs) * stepMs) / 1000);
  };

  return {
    lookup(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const found = source.lookup(owner, localOf(request.nodeLow), request.name, request.pid);
      if (found === undefined) return -errno.ENOENT;
      const id = nodeIdOf(found.owner, found.local);
      return reply.entry(id, attributesOf(found), found.validSeconds, validSeconds(found));
    },

    getattr(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const node = source.stat(owner, localOf(request.nodeLow), request.pid);
      if (node === undefined) return -errno.ESTALE;
      return reply.attributes(attributesOf(node), validSeconds(node));
    },

    readlink(request, reply) {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const target = source.readlink(owner, localOf(request.nodeLow), request.pid);
      return target === undefined ? -errno.ESTALE : reply.text(target);
    },

    read(request, reply) {
      const local = localOf(request.nodeLow);
      const reader = ownerOf(request.nodeLow, request.nodeHigh);
      const text = textOf(reader, local);
      options.onRead(local, text !== undefined, reader);
      if (text === undefined) return -errno.EIO;
      // The kernel reads pages: all of the text is in the first one.
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
}
