/** `lxcfs webhook`: the admission webhook that mounts the served files into new pods. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ApiClient, podAccess, podNamespace } from "../k8s/api/client.ts";
import type { CertificateKeeper } from "../k8s/webhook/keeper.ts";
import { FileKeeper, SelfSignedKeeper } from "../k8s/webhook/keeper.ts";
import type { RotationTimes } from "../k8s/webhook/rotation.ts";
import { DEFAULT_TIMES } from "../k8s/webhook/rotation.ts";
import { BundlePublisher, SecretStore } from "../k8s/webhook/secret.ts";
import { DEFAULT_SETTINGS } from "../k8s/webhook/selection.ts";
import { WebhookServer } from "../k8s/webhook/server.ts";
import { readSettings } from "../k8s/webhook/settings.ts";
import { Logger, logLevel } from "../sys/log.ts";

export const summary = "Serve the Kubernetes admission webhook that mounts the files into pods";

const HELP = `Usage: lxcfs webhook [OPTION]...
${summary}.

  --config FILE          settings, JSON (default: none, built-in settings)
  --log-level LEVEL      debug, info, warn or error (default: info)
  --port PORT            HTTPS port (default: 8443)
  --service NAME         Service the API server calls (default: lxcfs-webhook)
  --namespace NAME       its namespace (default: that of this pod)
  --secret NAME          Secret that holds the certificates (default: lxcfs-webhook-tls)
  --configuration NAME   MutatingWebhookConfiguration whose caBundle is kept (default: lxcfs-webhook)
  --certificates DIR     take tls.crt and tls.key from DIR instead; make and publish none
  --ca-days N            lifetime of the CA (default: 365)
  --serving-days N       lifetime of the serving certificate (default: 90)
  --settle-seconds N     how long a change of certificates is given to spread (default: 120)
  --tick-seconds N       how often certificates are looked after (default: 10)
  --drain-seconds N      how long to go on serving after SIGTERM (default: 5)
  --help                 this text
`;

const DAY_MS = 86_400_000;

export async function run(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: "string" },
      "log-level": { type: "string", default: "info" },
      port: { type: "string", default: "8443" },
      service: { type: "string", default: "lxcfs-webhook" },
      namespace: { type: "string" },
      secret: { type: "string", default: "lxcfs-webhook-tls" },
      configuration: { type: "string", default: "lxcfs-webhook" },
      certificates: { type: "string" },
      "ca-days": { type: "string", default: "365" },
      "serving-days": { type: "string", default: "90" },
      "settle-seconds": { type: "string", default: "120" },
      "tick-seconds": { type: "string", default: "10" },
      "drain-seconds": { type: "string", default: "5" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const log = new Logger(logLevel(values["log-level"]));
  const settings = values.config ? readSettings(values.config) : DEFAULT_SETTINGS;
  const times: RotationTimes = {
    ...DEFAULT_TIMES,
    caMs: number(values["ca-days"], "--ca-days") * DAY_MS,
    servingMs: number(values["serving-days"], "--serving-days") * DAY_MS,
    settleMs: number(values["settle-seconds"], "--settle-seconds") * 1000,
  };
  const tickMs = number(values["tick-seconds"], "--tick-seconds") * 1000;
  const drainMs = number(values["drain-seconds"], "--drain-seconds") * 1000;
  const port = number(values.port, "--port");

  let keeper: CertificateKeeper | undefined;
  const server = new WebhookServer({ settings, isReady: () => keeper?.ready ?? false, log });
  const onCertificate = server.use.bind(server);
  if (values.certificates) keeper = new FileKeeper(values.certificates, { onCertificate, log });
  else {
    const client = new ApiClient(podAccess(process.env));
    const namespace = values.namespace ?? podNamespace();
    const host = `${values.service}.${namespace}.svc`;
    keeper = new SelfSignedKeeper({
      store: new SecretStore(client, namespace, values.secret),
      publisher: new BundlePublisher(client, values.configuration),
      dnsNames: [host, `${host}.cluster.local`],
      times,
      nowMs: Date.now,
      onCertificate,
      log,
    });
  }

  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  await server.listen(port);
  log.info("listening", { port });
  while (!stop.signal.aborted) {
    try {
      await keeper.tick();
    } catch (error) {
      log.warn("certificates could not be looked after", { error: String(error) });
    }
    await sleep(tickMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  // Endpoints take a moment to forget this pod: until then it goes on answering.
  log.info("draining", { seconds: drainMs / 1000 });
  await sleep(drainMs);
  await server.close();
  return 0;
}

function number(text: string, option: string): number {
  const value = Number(text);
  if (!(value >= 0) || text.trim() === "")
    throw new RangeError(`Cannot read ${option}: got "${text}", expected a number`);
  return value;
}
