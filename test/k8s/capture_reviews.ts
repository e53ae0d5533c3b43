/**
 * Records the AdmissionReviews a real API server sends for the pods of `pods.yaml` into
 * `fixtures/k8s/reviews`. Run it where the API server reaches `127.0.0.1`, which in a single-node
 * test cluster is the node:
 *   node dist/test/k8s/capture_reviews.js [PORT]        with KUBECONFIG and kubectl at hand
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import type { AdmissionRequest } from "../../src/k8s/api/objects.ts";
import { makeCa, makeServing } from "../../src/k8s/webhook/certificates.ts";
import { answer, parseReview } from "../../src/k8s/webhook/review.ts";

const NAMESPACE = "lxcfs-capture";
const TARGET = "fixtures/k8s/reviews";
const port = Number(process.argv[2] ?? 9444);

const lifetime = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
const ca = makeCa(lifetime);
// By name and not by address: our certificates carry none.
const serving = makeServing(ca, ["localhost"], lifetime);
const seen = new Map<string, AdmissionRequest>();

const server = createServer({ cert: serving.cert, key: serving.key }, (request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (part: string) => (body += part));
  request.on("end", () => {
    const review = parseReview(body);
    const pod = review.object?.metadata;
    const name = pod?.name ?? pod?.generateName?.replace(/-([0-9a-f]+-)?$/, "");
    if (review.namespace === NAMESPACE && name) {
      seen.set(name, review);
      mkdirSync(TARGET, { recursive: true });
      writeFileSync(`${TARGET}/${name}.json`, `${JSON.stringify(JSON.parse(body), null, 1)}\n`);
    }
    response.end(JSON.stringify(answer(review, { patch: [], conflicts: [], warnings: [] })));
  });
});

/** Never synchronous: the API server asks this process while kubectl waits for it. */
function kubectl(args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("kubectl", args, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout);
    });
    child.stdin?.end(input);
  });
}

const documents = parseAllDocuments(readFileSync("test/k8s/pods.yaml", "utf8"));
const objects = documents.map(
  (document) => document.toJS() as { kind: string; metadata: { name: string } },
);

await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
try {
  await kubectl(["create", "namespace", NAMESPACE]);
  await kubectl(["label", "namespace", NAMESPACE, `name=${NAMESPACE}`]);
  await kubectl(["apply", "-f", "-"], JSON.stringify(runtimeClass("kata-qemu")));
  await kubectl(["apply", "-f", "-"], JSON.stringify(runtimeClass("crun")));
  await kubectl(["apply", "-f", "-"], JSON.stringify(configuration()));
  await sleep(3000);
  await serviceAccount();
  for (const object of objects) {
    const dry = object.kind === "Pod" ? ["--dry-run=server"] : [];
    await kubectl(
      ["-n", NAMESPACE, "create", "--validate=false", ...dry, "-f", "-"],
      JSON.stringify(object),
    );
  }
  for (let tries = 0; tries < 50 && seen.size < objects.length; tries++) await sleep(200);
  const missing = objects.filter((object) => !seen.has(object.metadata.name));
  if (missing.length > 0)
    throw new Error(`No review of ${missing.map((o) => o.metadata.name).join(", ")}`);
  process.stdout.write(`${seen.size} reviews in ${TARGET}\n`);
} finally {
  await kubectl(["delete", "mutatingwebhookconfiguration", NAMESPACE, "--ignore-not-found"]);
  await kubectl(["delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found"]);
  await kubectl(["delete", "runtimeclass", "kata-qemu", "crun", "--ignore-not-found"]);
  server.close();
  server.closeAllConnections();
}

/** Pods are refused until the namespace has its account, and lack its volume until that has a token. */
async function serviceAccount(): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const account = await kubectl([
      "-n",
      NAMESPACE,
      "get",
      "serviceaccount",
      "default",
      "-o",
      "json",
    ]);
    if ((JSON.parse(account) as { secrets?: unknown }).secrets) return;
    await sleep(200);
  }
}

function runtimeClass(name: string): object {
  return { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata: { name }, handler: name };
}

function configuration(): object {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: NAMESPACE },
    webhooks: [
      {
        name: "capture.lxcfs.io",
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        failurePolicy: "Fail",
        namespaceSelector: { matchLabels: { name: NAMESPACE } },
        rules: [
          { operations: ["CREATE"], apiGroups: [""], apiVersions: ["v1"], resources: ["pods"] },
        ],
        clientConfig: {
          url: `https://localhost:${port}/`,
          caBundle: Buffer.from(ca.cert).toString("base64"),
        },
      },
    ],
  };
}
