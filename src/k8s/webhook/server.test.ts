import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { IncomingMessage, RequestOptions } from "node:http";
import { Agent, request } from "node:https";
import { connect } from "node:tls";
import { Logger } from "../../sys/log.ts";
import type { AdmissionResponse } from "../api/objects.ts";
import type { KeyedCertificate } from "./certificates.ts";
import { makeCa, makeServing } from "./certificates.ts";
import { mutationFor } from "./review.ts";
import { DEFAULT_SETTINGS } from "./selection.ts";
import { WebhookServer } from "./server.ts";
import { recorded, reviewNames, reviewText } from "../../../test/k8s/reviews.ts";

const LIFETIME = { fromMs: Date.now() - 60_000, untilMs: Date.now() + 3_600_000 };
const NAME = "lxcfs-webhook.lxcfs.svc";

interface Answer {
  status: number;
  text: string;
}

class Peer {
  readonly #options: RequestOptions & { ca: string; servername: string; agent: Agent };

  constructor(port: number, ca: string) {
    const agent = new Agent({ keepAlive: true, maxSockets: 8 });
    this.#options = { host: "127.0.0.1", port, ca, servername: NAME, agent };
  }

  send(method: string, path: string, body?: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...this.#options, method, path }, (incoming: IncomingMessage) => {
        let text = "";
        incoming.setEncoding("utf8").on("data", (part: string) => (text += part));
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  close(): void {
    this.#options.agent.destroy();
  }
}

describe("webhook server", () => {
  const ca = makeCa(LIFETIME);
  let ready = false;
  const log = new Logger("error", () => undefined);
  const server = new WebhookServer({ settings: DEFAULT_SETTINGS, isReady: () => ready, log });
  let port = 0;
  let peer: Peer;
  before(async () => {
    server.use(makeServing(ca, [NAME], LIFETIME));
    port = await server.listen(0, "127.0.0.1");
    peer = new Peer(port, ca.cert);
  });
  after(async () => {
    peer.close();
    await server.close();
  });

  it("answers recorded reviews as the mutation says", async () => {
    for (const name of reviewNames()) {
      const { status, text } = await peer.send("POST", "/mutate?timeout=5s", reviewText(name));
      assert.equal(status, 200);
      const review = JSON.parse(text) as { response: AdmissionResponse; apiVersion: string };
      const { request: asked } = recorded(name);
      assert.equal(review.apiVersion, "admission.k8s.io/v1");
      assert.equal(review.response.uid, asked.uid);
      assert.equal(review.response.allowed, true);
      const patch = Buffer.from(review.response.patch ?? "", "base64").toString() || "[]";
      assert.deepEqual(JSON.parse(patch), mutationFor(asked, DEFAULT_SETTINGS).patch);
    }
  });

  it("is healthy at once and ready when the keeper says so", async () => {
    assert.equal((await peer.send("GET", "/healthz")).status, 200);
    ready = false;
    assert.equal((await peer.send("GET", "/readyz")).status, 503);
    ready = true;
    assert.equal((await peer.send("GET", "/readyz")).status, 200);
  });

  it("refuses what is no review, and lives", async () => {
    const bodies = [
      "",
      "{",
      "null",
      "[]",
      '{"kind":"AdmissionReview"}',
      "\0".repeat(1000),
      '{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{}}',
      '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"x"}}',
    ];
    for (const body of bodies) {
      const { status, text } = await peer.send("POST", "/mutate", body);
      assert.equal(status, 400);
      assert.match(text, /^Cannot read AdmissionReview: /);
    }
    assert.equal((await peer.send("GET", "/mutate")).status, 404);
    assert.equal((await peer.send("PUT", "/mutate")).status, 405);
    assert.equal((await peer.send("GET", "/healthz")).status, 200);
  });

  it("refuses a body beyond its limit without keeping it", async () => {
    const big = new Peer(port, ca.cert);
    const outcome = await big.send("POST", "/mutate", "x".repeat(9 << 20)).catch((e: unknown) => e);
    // The answer may get lost when the connection is cut while the body is still being sent.
    if (!(outcome instanceof Error)) assert.equal((outcome as Answer).status, 413);
    big.close();
    assert.equal((await peer.send("GET", "/healthz")).status, 200);
  });

  it("takes a new certificate into use while an old connection goes on", async () => {
    const fingerprint = () =>
      new Promise<string>((resolve, reject) => {
        const options = { host: "127.0.0.1", port, ca: ca.cert, servername: NAME };
        const socket = connect(options, () => {
          resolve(socket.getPeerCertificate().fingerprint256);
          socket.end();
        });
        socket.on("error", reject);
      });
    const old = new Peer(port, ca.cert);
    await old.send("GET", "/healthz");
    const before = await fingerprint();
    server.use(makeServing(ca, [NAME], LIFETIME));
    assert.notEqual(await fingerprint(), before);
    assert.equal((await old.send("GET", "/healthz")).status, 200);
    old.close();
  });

  it("keeps the certificate it has when the new one is unusable", async () => {
    const bad: KeyedCertificate = { cert: "no PEM", key: "no PEM" };
    assert.throws(() => server.use(bad));
    const fresh = new Peer(port, ca.cert);
    assert.equal((await fresh.send("GET", "/healthz")).status, 200);
    fresh.close();
  });

  it("counts", async () => {
    const { text } = await peer.send("GET", "/metrics");
    assert.match(text, /^lxcfs_webhook_reviews_total\{result="injected"\} [1-9]/m);
    assert.match(text, /^lxcfs_webhook_reviews_total\{result="host-pid"\} 1$/m);
    assert.match(text, /^lxcfs_webhook_reviews_total\{result="malformed"\} 8$/m);
    const count = /^lxcfs_webhook_review_seconds_count (\d+)$/m.exec(text)?.[1];
    const inf = /^lxcfs_webhook_review_seconds_bucket\{le="\+Inf"\} (\d+)$/m.exec(text)?.[1];
    assert.equal(count, inf);
    assert.match(
      text,
      new RegExp(
        `^lxcfs_webhook_certificate_expiry_seconds ${Math.floor(LIFETIME.untilMs / 1000)}$`,
        "m",
      ),
    );
  });

  it("answers every review while its certificate changes under load", async () => {
    const texts = reviewNames().map(reviewText);
    const pending: Promise<Answer>[] = [];
    for (let sent = 0; sent < 400; sent++) {
      pending.push(peer.send("POST", "/mutate", texts[sent % texts.length]));
      if (sent % 100 === 50) server.use(makeServing(ca, [NAME], LIFETIME));
      if (sent % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const statuses = (await Promise.all(pending)).map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([200]));
  });
});
