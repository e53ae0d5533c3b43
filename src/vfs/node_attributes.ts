/** Attributes and ids of nodes as the protocol wants them. */
import type { Attributes } from "../fuse/wire/reply.ts";
import { nodeHigh, nodeLow } from "./node_id.ts";
import type { FoundNode } from "./node_source.ts";

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/**
 * @param startSeconds times of all nodes: when the mount was made
 * @returns a function that fills one and the same object: it is written into a reply at once; it may be
 * told when the node's content has changed
 */
export function attributesWriter(
  startSeconds: number,
): (node: FoundNode, mtimeSeconds?: number) => Attributes {
  const attributes: Attributes = {
    ino: 0,
    mode: 0,
    size: 0,
    nlink: 1,
    atimeSeconds: startSeconds,
    mtimeSeconds: startSeconds,
    ctimeSeconds: startSeconds,
  };
  return (node, mtimeSeconds = startSeconds) => {
    attributes.mtimeSeconds = mtimeSeconds;
    attributes.ino = nodeIdOf(node.owner, node.local);
    attributes.mode = node.mode;
    attributes.size = node.size;
    attributes.nlink = (node.mode & S_IFMT) === S_IFDIR ? 2 : 1;
    return attributes;
  };
}

/** As a number where that is exact, which it always is for files that answer by caller. */
export function nodeIdOf(owner: number, local: number): number | bigint {
  if (owner === 0) return local;
  return (BigInt(nodeHigh(owner)) << 32n) | BigInt(nodeLow(owner, local));
}
