/**
 * The API server as the agent asks it, for a kubelet that runs without one: the node's pods are
 * what kubelet itself says they are.
 */
import { createServer } from "node:https";
import { mkdirSync, writeFileSync } from "node:fs";
import { makeCa, makeServing } from "../../src/k8s/webhook/certificates.ts";
import { ask, KUBELET_PORT, NAMESPACE } from "./node.ts";

export const API_PORT = 16443;

export interface Api {
  /** From now on the agent's DaemonSet is gone. */
  uninstalled: boolean;
  close(): void;
}

/** @param account where the agent's pod finds what a service account has */
export function serveApi(account: string): Api {
  const lifetime = { fromMs: Date.now() - 86_400_000, untilMs: Date.now() + 86_400_000 };
  const ca = makeCa(lifetime);
  const serving = makeServing(ca, ["localhost"], lifetime);
  mkdirSync(account, { recursive: true });
  writeFileSync(`${account}/ca.crt`, ca.cert);
  writeFileSync(`${account}/token`, "token");
  const api: Api = { uninstalled: false, close: () => server.close().closeAllConnections() };
  const answer = async (path: string): Promise<[number, string]> => {
    if (path === "/api/v1/pods") {
      return [200, await ask(KUBELET_PORT, "/pods")];
    }
    if (path === `/api/v1/namespaces/${NAMESPACE}`)
      return [200, JSON.stringify({ metadata: { labels: { "lxcfs.io/inject": "enabled" } } })];
    if (path.startsWith("/api/v1/namespaces/")) return [200, JSON.stringify({ metadata: {} })];
    if (path.includes("/daemonsets/") && !api.uninstalled)
      return [200, JSON.stringify({ metadata: {} })];
    return [404, "{}"];
  };
  const server = createServer({ cert: serving.cert, key: serving.key }, (request, response) => {
    answer(request.url?.split("?")[0] ?? "")
      .catch((error: unknown): [number, string] => [500, String(error)])
      .then(
        ([status, text]) => {
          response.writeHead(status, { "content-type": "application/json" });
          response.end(text);
        },
        () => response.destroy(),
      );
  });
  server.listen(API_PORT, "127.0.0.1");
  return api;
}
