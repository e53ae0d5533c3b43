/**
 * The Secret that holds the webhook's certificates, and the configuration that tells the API server
 * whom to trust. The Secret is the truth; what a replica has in memory is a copy.
 */
import type { ApiClient } from "../api/client.ts";
import { ApiError } from "../api/client.ts";
import type { ObjectMeta } from "../api/objects.ts";
import type { CertificateState } from "./rotation.ts";

/** A v1 Secret. `data` is base64. */
interface Secret {
  metadata: ObjectMeta;
  data?: Record<string, string>;
}

/** A Secret as it was read: to be written back it must still have the same resourceVersion. */
export interface StoredState {
  state: CertificateState | undefined;
  secret: Secret;
}

/** admissionregistration.k8s.io/v1 MutatingWebhookConfiguration, as far as it is looked at. */
interface WebhookConfiguration {
  metadata: ObjectMeta;
  webhooks?: { name: string; clientConfig: { caBundle?: string } }[];
}

const KEYS = {
  caCert: "ca.crt",
  caKey: "ca.key",
  cert: "tls.crt",
  key: "tls.key",
  nextCert: "next-ca.crt",
  nextKey: "next-ca.key",
  previousCert: "previous-ca.crt",
  stepped: "stepped",
} as const;

/** Reads and writes the Secret, which exists already: a role can name an object, not a creation. */
export class SecretStore {
  readonly #client: ApiClient;
  readonly #path: string;

  constructor(client: ApiClient, namespace: string, name: string) {
    this.#client = client;
    this.#path = `/api/v1/namespaces/${namespace}/secrets/${name}`;
  }

  async read(): Promise<StoredState> {
    const secret = (await this.#client.get(this.#path)) as Secret;
    return { state: decodeState(secret.data ?? {}), secret };
  }

  /** @returns false if someone else wrote in the meantime */
  async write(stored: StoredState, state: CertificateState): Promise<boolean> {
    try {
      await this.#client.put(this.#path, { ...stored.secret, data: encodeState(state) });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return false;
      throw error;
    }
  }
}

/** The state in a Secret's `data`, or nothing if a part is missing. */
export function decodeState(data: Readonly<Record<string, string>>): CertificateState | undefined {
  const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString();
  const ca = { cert: text(KEYS.caCert), key: text(KEYS.caKey) };
  const serving = { cert: text(KEYS.cert), key: text(KEYS.key) };
  if (!ca.cert || !ca.key || !serving.cert || !serving.key) return undefined;
  const state: CertificateState = { ca, serving, steppedMs: Number(text(KEYS.stepped)) || 0 };
  const nextCa = { cert: text(KEYS.nextCert), key: text(KEYS.nextKey) };
  if (nextCa.cert && nextCa.key) state.nextCa = nextCa;
  const previousCa = text(KEYS.previousCert);
  if (previousCa) state.previousCa = previousCa;
  return state;
}

/** The inverse of `decodeState`. */
export function encodeState(state: CertificateState): Record<string, string> {
  const data: Record<string, string> = {};
  const put = (key: string, text: string) => {
    data[key] = Buffer.from(text).toString("base64");
  };
  put(KEYS.caCert, state.ca.cert);
  put(KEYS.caKey, state.ca.key);
  put(KEYS.cert, state.serving.cert);
  put(KEYS.key, state.serving.key);
  put(KEYS.stepped, String(state.steppedMs));
  if (state.nextCa) {
    put(KEYS.nextCert, state.nextCa.cert);
    put(KEYS.nextKey, state.nextCa.key);
  }
  if (state.previousCa) put(KEYS.previousCert, state.previousCa);
  return data;
}

/** The webhook's own configuration object, of which only the CA bundles are ever changed. */
export class BundlePublisher {
  readonly #client: ApiClient;
  readonly #path: string;

  constructor(client: ApiClient, name: string) {
    this.#client = client;
    this.#path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
  }

  /**
   * Puts `bundle` where it is missing.
   * @returns "kept" if it was in place everywhere, "lost" if someone else wrote in the same moment
   */
  async publish(bundle: string): Promise<"kept" | "put" | "lost"> {
    const configuration = (await this.#client.get(this.#path)) as WebhookConfiguration;
    const value = Buffer.from(bundle).toString("base64");
    const additions = [];
    for (const [index, webhook] of (configuration.webhooks ?? []).entries()) {
      if (webhook.clientConfig.caBundle === value) continue;
      additions.push({ op: "add", path: `/webhooks/${index}/clientConfig/caBundle`, value });
    }
    if (additions.length === 0) return "kept";
    // Entries are named by index: the test refuses the patch if the list has changed since.
    const version = configuration.metadata.resourceVersion;
    const test = { op: "test", path: "/metadata/resourceVersion", value: version };
    try {
      await this.#client.jsonPatch(this.#path, [test, ...additions]);
      return "put";
    } catch (error) {
      // 422: the test failed; 409: it held, and no longer when the result was to be stored.
      if (error instanceof ApiError && (error.status === 422 || error.status === 409))
        return "lost";
      throw error;
    }
  }
}
