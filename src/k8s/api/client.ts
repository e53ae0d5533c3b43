/**
 * A client for the API server with a pod's service account: JSON in, JSON out, no watch. Node's
 * `fetch` takes no CA of the caller's, so this stands on `node:https`. Token and CA are read anew
 * when they change on disk: kubelet rotates both.
 */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";

/** Where the API server is, and who asks. */
export interface ApiAccess {
  /** `https://host:port`. */
  server: string;
  /** PEM of the CA that signed the server's certificate; read before every new connection. */
  ca(): string;
  /** Headers that say who asks; read before every request. */
  headers(): Record<string, string>;
  /** PEM of a client certificate and key, where one is used instead of a token. */
  client?: { cert: string; key: string };
}

/** An answer of the API server that is not 2xx. */
export class ApiError extends Error {
  readonly status: number;

  constructor(doing: string, status: number, found: string) {
    super(`Cannot ${doing}: got ${status} ${found}`);
    this.name = "ApiError";
    this.status = status;
  }
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const TIMEOUT_MS = 10_000;

/** Access as a pod has it. @throws if this process is in no pod */
export function podAccess(
  environment: Readonly<Record<string, string | undefined>>,
  dir: string = SERVICE_ACCOUNT,
): ApiAccess {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"] ?? "443";
  if (!host) throw new Error("Cannot find the API server: KUBERNETES_SERVICE_HOST is not set");
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: () => readFileSync(`${dir}/ca.crt`, "utf8"),
    headers: () => ({ authorization: `Bearer ${readFileSync(`${dir}/token`, "utf8").trim()}` }),
  };
}

/** The namespace of the pod this process runs in. */
export function podNamespace(dir: string = SERVICE_ACCOUNT): string {
  return readFileSync(`${dir}/namespace`, "utf8").trim();
}

/** Requests to one API server over kept connections. */
export class ApiClient {
  readonly #access: ApiAccess;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(access: ApiAccess) {
    this.#access = access;
  }

  get(path: string): Promise<unknown> {
    return this.#send("GET", path);
  }

  put(path: string, body: object): Promise<unknown> {
    return this.#send("PUT", path, body);
  }

  post(path: string, body: object): Promise<unknown> {
    return this.#send("POST", path, body);
  }

  /** RFC 6902. */
  jsonPatch(path: string, operations: readonly object[]): Promise<unknown> {
    return this.#send("PATCH", path, operations, "application/json-patch+json");
  }

  /** RFC 7386. */
  mergePatch(path: string, body: object): Promise<unknown> {
    return this.#send("PATCH", path, body, "application/merge-patch+json");
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, path: string, body?: object, type = "application/json"): Promise<unknown> {
    const doing = `${method} ${path}`;
    const url = new URL(path, this.#access.server);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        url,
        {
          method,
          agent: this.#agent,
          ca: this.#access.ca(),
          ...this.#access.client,
          timeout: TIMEOUT_MS,
          headers: {
            accept: "application/json",
            ...(body ? { "content-type": type } : {}),
            ...this.#access.headers(),
          },
        },
        (incoming) => {
          const parts: Buffer[] = [];
          incoming.on("data", (part: Buffer) => parts.push(part));
          incoming.on("error", reject);
          incoming.on("end", () => {
            const text = Buffer.concat(parts).toString();
            const status = incoming.statusCode ?? 0;
            if (status < 200 || status > 299)
              reject(new ApiError(doing, status, text.slice(0, 300)));
            else {
              try {
                resolve(text === "" ? undefined : JSON.parse(text));
              } catch (error) {
                reject(new Error(`Cannot ${doing}: answer is no JSON`, { cause: error }));
              }
            }
          });
        },
      );
      outgoing.on("timeout", () => {
        outgoing.destroy(new Error(`Cannot ${doing}: no answer in ${TIMEOUT_MS} ms`));
      });
      outgoing.on("error", reject);
      outgoing.end(body ? JSON.stringify(body) : undefined);
    });
  }
}
