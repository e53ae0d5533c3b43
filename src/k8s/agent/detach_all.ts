/** Gives every container its kernel's own files back, whoever mounted over them. */
import { listMountNamespaces, mountNamespaceOf } from "../../attach/find_mounts.ts";
import type { Attacher } from "./attacher.ts";

/**
 * @param except processes in whose mount namespaces the filesystem itself is mounted: the server's
 *   and the agent's; this one's and process 1's are left alone in any case
 * @returns how many containers were freed
 */
export async function detachAll(attacher: Attacher, except: readonly number[]): Promise<number> {
  const own = new Set(["self" as const, 1, ...except].map((pid) => mountNamespaceOf("/proc", pid)));
  let freed = 0;
  for (const [namespace, pid] of listMountNamespaces("/proc")) {
    if (own.has(namespace)) continue;
    const outcome = await attacher.detach(pid);
    if (outcome.steps.some(({ did }) => did === "detached")) freed++;
  }
  return freed;
}
