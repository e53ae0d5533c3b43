/** Who makes the webhook's certificate, and what happens when it is replaced. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parseAllDocuments } from "yaml";
import { ApiClient } from "../../../src/k8s/api/client.ts";
import {
  makeCa,
  makeServing,
  type KeyedCertificate,
} from "../../../src/k8s/webhook/certificates.ts";
import { ROOT, type Values } from "../chart.ts";
import { eventually } from "../cluster.ts";
import { APPS, NAMESPACE, type World } from "../world.ts";
import { token } from "./plugin.ts";

const DAY_SECONDS = 86_400;
/** Each life is short enough to see two generations, and long enough to be spread. */
const CA_SECONDS = 18;
const SERVING_SECONDS = 9;
const SETTLE_SECONDS = 2;
const LOAD_MS = 32_000;
const SENDERS = 4;

/** Pods that are asked for per second, at least: less would be no load. */
const LEAST_PER_SECOND = 5;

export function certificates(world: World): void {
  const { cluster } = world;

  it("rejects and misses no pod while certificates and CA are replaced under load", async (t) => {
    await world.install({
      webhook: {
        // A certificate that is not trusted would now be an error for whoever makes the pod.
        failurePolicy: "Fail",
        extraArgs: [
          ...["--tick-seconds=1", "--drain-seconds=3", `--settle-seconds=${SETTLE_SECONDS}`],
          ...[`--ca-days=${CA_SECONDS / DAY_SECONDS}`],
          ...[`--serving-days=${SERVING_SECONDS / DAY_SECONDS}`],
        ],
      },
    });
    await world.webhookRolledOut();
    // What was made with long lives goes first: then everything is replaced again and again.
    await cluster.kubectl([
      ...["-n", NAMESPACE, "patch", "secret", "lxcfs-webhook-tls", "--type=json"],
      ...["-p", '[{"op":"remove","path":"/data"}]'],
    ]);
    await sleep(5000);
    const load = await admissionLoad(world);
    const [cas, serving] = [new Set<string>(), new Set<string>()];
    const done = load.run(LOAD_MS);
    const untilMs = performance.now() + LOAD_MS;
    while (performance.now() < untilMs) {
      cas.add(await world.field(NAMESPACE, "secret/lxcfs-webhook-tls", ".data.ca\\.crt"));
      serving.add(await world.field(NAMESPACE, "secret/lxcfs-webhook-tls", ".data.tls\\.crt"));
      await sleep(500);
    }
    const pods = await done;
    t.diagnostic(`${pods} pods, ${cas.size} CAs, ${serving.size} certificates`);
    assert.ok(cas.size >= 2, `${cas.size} CAs`);
    assert.ok(serving.size >= 3, `${serving.size} certificates`);
    assert.ok(pods >= (LEAST_PER_SECOND * LOAD_MS) / 1000, `${pods} pods`);
  });
}

/** The certificates that are brought: what the webhook starts with, and what it gets later. */
const brought: { next?: KeyedCertificate } = {};

/** Later, but before anything ends these webhooks. */
export function otherCertificatesServed(world: World): void {
  it("serves with a certificate that cert-manager makes", async () => {
    await eventually(() => injects(world, "managed"), 60);
  });

  it("serves with a certificate that is brought, and takes another into use without a restart", async () => {
    await eventually(() => injects(world, "brought"), 60);
    if (world.cluster.node)
      await eventually(async () => {
        const next = fingerprint(brought.next?.cert ?? "");
        assert.equal(await shownCertificate(world, "brought"), next);
      }, 120);
    const restarts = ".items[*].status.containerStatuses[*].restartCount";
    assert.match(await world.field("lxcfs-brought", "pods", restarts), /^[0 ]+$/);
  });
}

/**
 * Two more webhooks that make no certificate, each with a label of its own for namespaces. They are
 * started early and looked at late: kubelet takes up to two minutes to bring a changed Secret.
 */
export function otherCertificates(world: World): void {
  const lifetime = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
  const values = (name: string, certificates: Values): Values => ({
    injection: { namespaceLabels: [{ name, key: name, value: "yes" }], podOptIn: false },
    agent: { enabled: false },
    webhook: { replicas: 1, certificates, podDisruptionBudget: { enabled: false } },
  });

  it("starts webhooks that are given their certificates", async () => {
    for (const name of ["brought", "managed"]) await namespaceOf(world, name);
    const ca = makeCa(lifetime);
    const names = ["lxcfs-b-webhook.lxcfs-brought.svc"];
    const first = makeServing(ca, names, lifetime);
    await putSecret(world, "lxcfs-brought", "own-tls", first);
    const caBundle = Buffer.from(ca.cert).toString("base64");
    const provided = values("brought", { mode: "provided", secretName: "own-tls", caBundle });
    await world.cluster.kubectl(
      ["apply", "-f", "-"],
      await world.render(provided, "lxcfs-b", "lxcfs-brought"),
    );
    await manageCertificates(world, values("managed", { mode: "cert-manager" }));
    await world.rolledOut("deployment/lxcfs-b-webhook", "lxcfs-brought");
    if (world.cluster.node)
      assert.equal(await shownCertificate(world, "brought"), fingerprint(first.cert));
    brought.next = makeServing(ca, names, lifetime);
    await putSecret(world, "lxcfs-brought", "own-tls", brought.next);
  });
}

/** The namespaces of these, to be taken away in the end. */
export const OTHER_NAMESPACES: readonly string[] = ["brought", "managed"].flatMap((name) => [
  `lxcfs-${name}`,
  `lxcfs-e2e-${name}`,
]);

/** A namespace for the webhook, and one that has opted in to it. */
async function namespaceOf(world: World, name: string): Promise<void> {
  for (const [namespace, labels] of [
    [`lxcfs-${name}`, {}],
    [`lxcfs-e2e-${name}`, { [name]: "yes" }],
  ] as const)
    await world.apply({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels },
    });
}

async function putSecret(
  world: World,
  namespace: string,
  name: string,
  serving: KeyedCertificate,
): Promise<void> {
  const stringData = { "tls.crt": serving.cert, "tls.key": serving.key };
  await world.apply({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace },
    type: "kubernetes.io/tls",
    stringData,
  });
}

async function injects(world: World, name: string): Promise<void> {
  const made = await world.dryRun(`lxcfs-e2e-${name}`, world.pod("probe"));
  assert.match(made, /"lxcfs-meminfo"/);
}

interface Certificate {
  metadata: { name: string; namespace: string };
  spec: { secretName: string; dnsNames: string[]; issuerRef: { name: string; kind: string } };
}

/**
 * What cert-manager does with the chart's objects, by its documentation: it makes a Certificate's
 * Secret with the issuer it names, and puts the CA into configurations that ask for it by annotation.
 * Its definitions are there with the fields it publishes: what it would not know would be dropped.
 */
async function manageCertificates(world: World, values: Values): Promise<void> {
  const { cluster } = world;
  const definitions = readFileSync(new URL("test/k8s/cert_manager.yaml", ROOT), "utf8");
  await cluster.kubectl(["apply", "-f", "-"], definitions);
  for (const name of ["certificates", "issuers"])
    await cluster.kubectl([
      ...["wait", "--for=condition=Established", "--timeout=30s"],
      `crd/${name}.cert-manager.io`,
    ]);
  const namespace = "lxcfs-managed";
  const text = await world.render(values, "lxcfs-m", namespace);
  await cluster.kubectl(["apply", "-f", "-"], text);
  const stored = JSON.parse(
    await cluster.kubectl(["-n", namespace, "get", "certificate", "lxcfs-m-webhook", "-o", "json"]),
  ) as Certificate;
  const rendered = parseAllDocuments(text)
    .map((document) => document.toJS() as Certificate & { kind: string })
    .find(({ kind }) => kind === "Certificate");
  assert.deepEqual(stored.spec, rendered?.spec);
  const { issuerRef, secretName, dnsNames } = stored.spec;
  const issuer = await cluster.kubectl([
    ...[
      "-n",
      namespace,
      "get",
      issuerRef.kind,
      issuerRef.name,
      "-o",
      "jsonpath={.spec.selfSigned}",
    ],
  ]);
  assert.equal(issuer, "{}");
  const lifetime = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
  const ca = makeCa(lifetime);
  await putSecret(world, namespace, secretName, makeServing(ca, dnsNames, lifetime));
  const kind = "mutatingwebhookconfiguration/lxcfs-m-webhook";
  const path = ".metadata.annotations.cert-manager\\.io/inject-ca-from";
  assert.equal(await world.field(namespace, kind, path), `${namespace}/${stored.metadata.name}`);
  const value = Buffer.from(ca.cert).toString("base64");
  const patch = [{ op: "add", path: "/webhooks/0/clientConfig/caBundle", value }];
  await cluster.kubectl(["patch", kind, "--type=json", "-p", JSON.stringify(patch)]);
}

/** The fingerprint of the certificate that a webhook's pod shows to whoever connects. */
async function shownCertificate(world: World, name: string): Promise<string> {
  const address = await world.field(`lxcfs-${name}`, "pods", ".items[0].status.podIP");
  // The pods' network is the node's.
  const text = await world.cluster.onNode(
    `echo | openssl s_client -connect ${address}:8443 2>/dev/null | openssl x509`,
  );
  return fingerprint(text);
}

function fingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

/** Pods asked for as quickly as they are made, without being kept, each with our files or an error. */
async function admissionLoad(world: World) {
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "sender" } };
  const rbac = "rbac.authorization.k8s.io";
  await world.create(
    APPS,
    account,
    {
      apiVersion: `${rbac}/v1`,
      kind: "Role",
      metadata: { name: "sender" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["create"] }],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: "RoleBinding",
      metadata: { name: "sender" },
      roleRef: { apiGroup: rbac, kind: "Role", name: "sender" },
      subjects: [{ kind: "ServiceAccount", name: "sender", namespace: APPS }],
    },
  );
  const bearer = await token(world, "sender", APPS);
  const client = new ApiClient({
    ...world.cluster.server,
    headers: () => ({ authorization: `Bearer ${bearer}` }),
  });
  const pod = world.pod("probe");
  let pods = 0;
  const send = async (untilMs: number) => {
    while (performance.now() < untilMs) {
      const made = JSON.stringify(
        await client.post(`/api/v1/namespaces/${APPS}/pods?dryRun=All`, pod),
      );
      assert.match(made, /"lxcfs-meminfo"/, `pod ${pods} was not injected`);
      pods++;
    }
  };
  return {
    run: async (forMs: number) => {
      const untilMs = performance.now() + forMs;
      await Promise.all(Array.from({ length: SENDERS }, () => send(untilMs)));
      client.close();
      return pods;
    },
  };
}
