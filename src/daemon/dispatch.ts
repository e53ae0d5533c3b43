/**
 * Which part of the mount answers a request: the cgroup tree its own nodes, the files' mechanics all
 * others. By the node id alone.
 */
import { isCgroupNode } from "../cgroup_tree/node.ts";
import type { CgroupTree } from "../cgroup_tree/operations.ts";
import type { Operations, RequestHeader } from "../fuse/operations.ts";
import { errno } from "../sys/errno.ts";
import type { Reply } from "../fuse/wire/reply.ts";
import { localOf, ownerOf } from "../vfs/node_id.ts";
import { ALWAYS_READY } from "../vfs/node_events.ts";
import { CGROUP } from "../views/tree.ts";

export interface DispatchOptions {
  readonly files: Operations;
  readonly tree: CgroupTree;
  /** See `FilesystemContext.late`. */
  readonly late: () => boolean;
  /** See `FilesystemContext.slow`. */
  readonly slow: () => void;
}

type Name = Exclude<keyof Operations, "forget" | "interrupt">;
type Method = (request: RequestHeader, reply: never) => number;

/** Operations with which the kernel can take its time, or that wait for locks of all cgroups. */
const SLOW: ReadonlySet<string> = new Set(["read", "write", "mkdir", "rmdir", "setattr"]);

export function dispatch({ files, tree, late, slow }: DispatchOptions): Operations {
  const { operations: cgroup, top } = tree;
  const route = (name: Name): Method => {
    const ofFiles = files[name] as Method | undefined;
    const ofCgroup = cgroup[name] as Method | undefined;
    const ofTop = (top as Operations)[name] as Method | undefined;
    const isSlow = SLOW.has(name);
    return (request, reply) => {
      const owner = ownerOf(request.nodeLow, request.nodeHigh);
      const local = localOf(request.nodeLow);
      const inTree = isCgroupNode(owner);
      if (!inTree && !(owner === 0 && local === CGROUP && ofTop !== undefined)) {
        // ENOSYS tells the kernel to ask for no node of this mount again.
        if (name === "poll" && ofFiles === undefined) {
          return (reply as Reply).polled(ALWAYS_READY);
        }
        return ofFiles?.(request, reply) ?? -errno.ENOSYS;
      }
      // Whoever asked may be gone by now, or another: nothing is done in its name any more.
      if (late()) return -errno.EIO;
      if (isSlow) slow();
      // ENOSYS would switch the operation off for the whole connection.
      return (inTree ? ofCgroup : ofTop)?.(request, reply) ?? -errno.EOPNOTSUPP;
    };
  };
  const routed: Record<string, Method> = {};
  for (const name of new Set([...Object.keys(files), ...Object.keys(cgroup)])) {
    if (name !== "forget" && name !== "interrupt") routed[name] = route(name as Name);
  }
  // What tells the whole connection is the files' to answer.
  return { ...files, ...(routed as Operations) };
}
