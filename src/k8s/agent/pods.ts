/**
 * Pods of this node and the labels of namespaces, as the API server knows them; remembered, since
 * many containers of one pod start together. Where the API server does not answer, what was known
 * is used, and an unknown pod is left alone.
 */
import type { ApiClient } from "../api/client.ts";
import type { Pod } from "../api/objects.ts";

/** As much of a pod's status as is looked at. */
export interface RunningPod extends Pod {
  status?: { [kind: string]: unknown };
}

const NAMESPACE_MS = 30_000;
/** Several containers that start together ask once. */
const RELIST_MS = 200;

export class PodDirectory {
  readonly #client: ApiClient;
  readonly #node: string;
  readonly #nowMs: () => number;
  #pods = new Map<string, RunningPod>();
  #listedMs = -Infinity;
  #listing: Promise<void> | undefined;
  readonly #namespaces = new Map<string, { labels: Record<string, string>; atMs: number }>();

  constructor(client: ApiClient, node: string, nowMs: () => number = () => performance.now()) {
    this.#client = client;
    this.#node = node;
    this.#nowMs = nowMs;
  }

  /** The pod of this uid, as fresh as `RELIST_MS` if it was not known before. */
  async byUid(uid: string): Promise<RunningPod | undefined> {
    return this.#pods.get(uid) ?? (await this.refresh()).get(uid);
  }

  /** All pods of the node by uid, asked for anew. @throws ApiError */
  async refresh(): Promise<Map<string, RunningPod>> {
    if (this.#nowMs() - this.#listedMs >= RELIST_MS) {
      this.#listing ??= this.#list().finally(() => (this.#listing = undefined));
      await this.#listing;
    }
    return this.#pods;
  }

  async #list(): Promise<void> {
    const selector = encodeURIComponent(`spec.nodeName=${this.#node}`);
    const list = (await this.#client.get(`/api/v1/pods?fieldSelector=${selector}`)) as {
      items?: RunningPod[];
    };
    const pods = new Map<string, RunningPod>();
    for (const pod of list.items ?? []) {
      pods.set(pod.metadata?.uid ?? "", pod);
      // A static pod's cgroup is named by the hash of its file, its API object by another uid.
      const config = pod.metadata?.annotations?.["kubernetes.io/config.hash"];
      if (config !== undefined) pods.set(config, pod);
    }
    this.#pods = pods;
    this.#listedMs = this.#nowMs();
  }

  /** @throws ApiError if they were never known */
  async namespaceLabels(name: string): Promise<Record<string, string>> {
    const known = this.#namespaces.get(name);
    if (known && this.#nowMs() - known.atMs < NAMESPACE_MS) return known.labels;
    try {
      const found = (await this.#client.get(`/api/v1/namespaces/${name}`)) as Pod;
      const labels = found.metadata?.labels ?? {};
      this.#namespaces.set(name, { labels, atMs: this.#nowMs() });
      return labels;
    } catch (error) {
      if (known) return known.labels;
      throw error;
    }
  }
}

/** Name of the container with this id, where the pod's status has it already. */
export function containerName(pod: RunningPod, id: string): string | undefined {
  for (const kind of ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]) {
    const statuses = pod.status?.[kind];
    if (!Array.isArray(statuses)) continue;
    for (const status of statuses as { name: string; containerID?: string }[])
      if (status.containerID?.endsWith(`://${id}`)) return status.name;
  }
  return undefined;
}
