import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:https";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { after, before, beforeEach, describe, it } from "node:test";
import { Logger } from "../../sys/log.ts";
import { ApiClient } from "../api/client.ts";
import type { KeyedCertificate } from "./certificates.ts";
import { isServingFor, makeCa, makeServing } from "./certificates.ts";
import { FileKeeper, SelfSignedKeeper } from "./keeper.ts";
import { BundlePublisher, SecretStore } from "./secret.ts";

const LIFETIME = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
const TIMES = { caMs: 900_000, servingMs: 300_000, settleMs: 10_000 };
const NAMES = ["lxcfs-webhook.lxcfs.svc"];
const SECRET = "/api/v1/namespaces/lxcfs/secrets/tls";
const CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hook";
const log = new Logger("error", () => undefined);

interface Stored {
  metadata: { resourceVersion: string };
  data?: Record<string, string>;
  webhooks?: { name: string; clientConfig: { caBundle?: string } }[];
}

/** The API server's rules that matter here: resourceVersion on PUT, `test` in a JSON patch. */
class ApiStub {
  readonly objects = new Map<string, Stored>();
  readonly ca = makeCa(LIFETIME);
  failing = false;
  writes = 0;
  readonly #server: Server;

  constructor() {
    const serving = makeServing(this.ca, ["localhost"], LIFETIME);
    this.#server = createServer({ cert: serving.cert, key: serving.key }, (incoming, response) => {
      let body = "";
      incoming.setEncoding("utf8").on("data", (part: string) => (body += part));
      incoming.on("end", () => this.#answer(incoming, body, response));
    });
  }

  reset(): void {
    this.failing = false;
    this.writes = 0;
    this.objects.set(SECRET, { metadata: { resourceVersion: "1" } });
    this.objects.set(CONFIGURATION, {
      metadata: { resourceVersion: "1" },
      webhooks: [
        { name: "a", clientConfig: {} },
        { name: "b", clientConfig: {} },
      ],
    });
  }

  async client(): Promise<ApiClient> {
    await new Promise<void>((resolve) => this.#server.listen(0, "localhost", resolve));
    const address = this.#server.address();
    const port = typeof address === "object" ? address?.port : 0;
    return new ApiClient({
      server: `https://localhost:${port}`,
      ca: () => this.ca.cert,
      headers: () => ({ authorization: "Bearer token" }),
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  bundles(): string[] {
    const webhooks = this.objects.get(CONFIGURATION)?.webhooks ?? [];
    return webhooks.map(({ clientConfig }) =>
      Buffer.from(clientConfig.caBundle ?? "", "base64").toString(),
    );
  }

  #answer(incoming: IncomingMessage, body: string, response: ServerResponse): void {
    const path = incoming.url ?? "";
    const object = this.objects.get(path);
    const end = (status: number, value: unknown) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    if (this.failing) return end(503, { kind: "Status" });
    if (incoming.headers.authorization !== "Bearer token") return end(401, {});
    if (!object) return end(404, {});
    if (incoming.method === "GET") return end(200, object);
    const version = object.metadata.resourceVersion;
    const bump = { resourceVersion: String(Number(version) + 1) };
    this.writes++;
    if (incoming.method === "PUT") {
      const next = JSON.parse(body) as Stored;
      if (next.metadata.resourceVersion !== version) return end(409, {});
      this.objects.set(path, { ...next, metadata: bump });
    } else if (incoming.method === "PATCH") {
      for (const { op, path: at, value } of JSON.parse(body) as {
        op: string;
        path: string;
        value: string;
      }[]) {
        if (op === "test" && value !== version) return end(422, {});
        const index = /^\/webhooks\/(\d+)\/clientConfig\/caBundle$/.exec(at)?.[1];
        const webhook = object.webhooks?.[Number(index)];
        if (webhook) webhook.clientConfig.caBundle = value;
      }
      object.metadata = bump;
    }
    return end(200, this.objects.get(path));
  }
}

describe("keeper of self-made certificates", () => {
  const api = new ApiStub();
  let client: ApiClient;
  let nowMs = 0;
  before(async () => {
    client = await api.client();
  });
  after(() => {
    client.close();
    api.close();
  });
  beforeEach(() => {
    api.reset();
    nowMs = Date.now();
  });

  function replica() {
    const shown: KeyedCertificate[] = [];
    const keeper = new SelfSignedKeeper({
      store: new SecretStore(client, "lxcfs", "tls"),
      publisher: new BundlePublisher(client, "hook"),
      dnsNames: NAMES,
      times: TIMES,
      nowMs: () => nowMs,
      onCertificate: (serving) => shown.push(serving),
      log,
    });
    return { keeper, shown };
  }
  const trusted = (serving: KeyedCertificate | undefined) =>
    api
      .bundles()
      .every((bundle) =>
        bundle
          .split(/(?<=-----END CERTIFICATE-----\n)/)
          .some((ca) => serving && isServingFor(serving, ca, NAMES)),
      );

  it("makes everything from nothing and is ready only then", async () => {
    const { keeper, shown } = replica();
    assert.equal(keeper.ready, false);
    await keeper.tick();
    assert.equal(keeper.ready, true);
    assert.equal(shown.length, 1);
    assert.ok(trusted(shown[0]));
  });

  it("does nothing more while nothing is due", async () => {
    const { keeper } = replica();
    await keeper.tick();
    const { writes } = api;
    await keeper.tick();
    assert.equal(api.writes, writes);
  });

  it("agrees with a second replica that starts in the same moment", async () => {
    const [one, two] = [replica(), replica()];
    await Promise.all([one.keeper.tick(), two.keeper.tick()]);
    await Promise.all([one.keeper.tick(), two.keeper.tick()]);
    assert.equal(one.shown.at(-1)?.cert, two.shown.at(-1)?.cert);
    assert.ok(trusted(one.shown.at(-1)) && one.keeper.ready && two.keeper.ready);
  });

  it("puts the bundle back when someone empties it", async () => {
    const { keeper, shown } = replica();
    await keeper.tick();
    for (const webhook of api.objects.get(CONFIGURATION)?.webhooks ?? [])
      webhook.clientConfig.caBundle = "";
    await keeper.tick();
    assert.ok(trusted(shown[0]));
  });

  it("takes over what a predecessor left, and starts over from a Secret that is damaged", async () => {
    await replica().keeper.tick();
    const second = replica();
    await second.keeper.tick();
    assert.equal(api.objects.get(SECRET)?.metadata.resourceVersion, "2");
    const secret = api.objects.get(SECRET);
    if (secret?.data) secret.data["tls.key"] = "";
    await second.keeper.tick();
    assert.equal(second.shown.length, 2);
    assert.ok(trusted(second.shown[1]));
  });

  it("replaces the CA with two replicas, the bundle always trusting what either shows", async () => {
    const [one, two] = [replica(), replica()];
    const cas = new Set<string>();
    for (let tick = 0; tick < 320; tick++) {
      nowMs += 6000;
      await one.keeper.tick();
      // The second one sleeps through some ticks.
      if (tick % 3 === 0) await two.keeper.tick();
      assert.ok(trusted(one.shown.at(-1)), `tick ${tick}`);
      if (two.shown.length > 0) assert.ok(trusted(two.shown.at(-1)), `tick ${tick}, second`);
      cas.add(api.objects.get(SECRET)?.data?.["ca.crt"] ?? "");
    }
    assert.ok(cas.size >= 3, `${cas.size} CAs`);
  });

  it("goes on serving while the API server fails, and says why it cannot look", async () => {
    const { keeper, shown } = replica();
    await keeper.tick();
    api.failing = true;
    await assert.rejects(keeper.tick(), /Cannot GET .*secrets\/tls: got 503/);
    assert.equal(keeper.ready, true);
    api.failing = false;
    await keeper.tick();
    assert.equal(shown.length, 1);
  });
});

describe("keeper of certificates in a directory", () => {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-k8s-`);
  after(() => rmSync(dir, { recursive: true }));

  it("shows them when they are there and when they change", async () => {
    const shown: KeyedCertificate[] = [];
    const keeper = new FileKeeper(dir, { onCertificate: (serving) => shown.push(serving), log });
    await assert.rejects(keeper.tick(), /tls\.crt/);
    assert.equal(keeper.ready, false);
    const put = (serving: KeyedCertificate) => {
      writeFileSync(`${dir}/tls.crt`, serving.cert);
      writeFileSync(`${dir}/tls.key`, serving.key);
    };
    const ca = makeCa(LIFETIME);
    put(makeServing(ca, NAMES, LIFETIME));
    await keeper.tick();
    await keeper.tick();
    assert.equal(keeper.ready, true);
    assert.equal(shown.length, 1);
    put(makeServing(ca, NAMES, LIFETIME));
    await keeper.tick();
    assert.equal(shown.length, 2);
  });
});
