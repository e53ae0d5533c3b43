/**
 * Tells the end of the installation from the end of a pod. A DaemonSet that is deleted, or that is
 * gone, is the one; an update, a deleted pod, a drained node are the other, and then nothing may be
 * touched: the next agent goes on with the same server.
 */
import type { ApiClient } from "../api/client.ts";
import { ApiError } from "../api/client.ts";

/**
 * @param daemonset `namespace/name`
 * @throws whatever kept the API server from answering: then nothing is known
 */
export async function isUninstalled(client: ApiClient, daemonset: string): Promise<boolean> {
  const [namespace, name] = daemonset.split("/");
  try {
    const found = (await client.get(
      `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`,
    )) as { metadata?: { deletionTimestamp?: string } };
    return found.metadata?.deletionTimestamp !== undefined;
  } catch (error) {
    // The right to ask, or the account itself, is deleted together with the rest.
    if (error instanceof ApiError && [401, 403, 404].includes(error.status)) return true;
    throw error;
  }
}
