/** Takes the taint away that keeps pods off a node until the filesystem is there. */
import type { ApiClient } from "../api/client.ts";
import type { ObjectMeta } from "../api/objects.ts";

interface Node {
  metadata: ObjectMeta;
  spec?: { taints?: { key: string; value?: string; effect: string }[] };
}

/** @param taint `key=value:effect` or `key:effect`; nothing is done if the node does not have it */
export async function removeStartupTaint(
  client: ApiClient,
  nodeName: string,
  taint: string | undefined,
): Promise<void> {
  const [, key, value = "", effect] = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(taint ?? "") ?? [];
  if (key === undefined) return;
  const path = `/api/v1/nodes/${nodeName}`;
  const node = (await client.get(path)) as Node;
  const index = (node.spec?.taints ?? []).findIndex(
    (found) => found.key === key && (found.value ?? "") === value && found.effect === effect,
  );
  if (index < 0) return;
  await client.jsonPatch(path, [
    { op: "test", path: "/metadata/resourceVersion", value: node.metadata.resourceVersion },
    { op: "remove", path: `/spec/taints/${index}` },
  ]);
}
