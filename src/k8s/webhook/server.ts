/**
 * The HTTPS server the API server calls. `POST /mutate` answers AdmissionReviews, `GET /healthz`
 * says that the event loop turns, `GET /readyz` that the API server can be expected to trust us,
 * `GET /metrics` counts. A new certificate serves new connections; open ones live on.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "node:https";
import { createServer } from "node:https";
import type { Logger } from "../../sys/log.ts";
import type { KeyedCertificate } from "./certificates.ts";
import { WebhookMetrics } from "./metrics.ts";
import { answer, mutationFor, parseReview, ReviewError } from "./review.ts";
import type { InjectionSettings } from "./selection.ts";

/** The API server limits its own requests to 3 MiB; a review carries an object twice. */
const MAX_BODY_BYTES = 8 << 20;
/** Kubernetes lets a webhook take 30 s at most. */
const REQUEST_TIMEOUT_MS = 30_000;

export interface WebhookOptions {
  settings: InjectionSettings;
  isReady(): boolean;
  log: Logger;
}

/** One server; it listens once it has a certificate. */
export class WebhookServer {
  readonly metrics: WebhookMetrics = new WebhookMetrics();
  readonly #options: WebhookOptions;
  readonly #server: Server;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#server = createServer({ minVersion: "TLSv1.2" }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        options.log.error("request failed", { error: String(error) });
        if (!response.headersSent) reply(response, 500, "failed\n");
        else response.destroy();
      });
    });
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    // The API server keeps connections for 90 s idle; closing first would race with its requests.
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on("tlsClientError", () => this.metrics.tlsErrors++);
  }

  /** Takes a certificate into use for all connections made from now on. @throws if it is unusable */
  use(serving: KeyedCertificate): void {
    this.#server.setSecureContext({ cert: serving.cert, key: serving.key, minVersion: "TLSv1.2" });
    this.metrics.setCertificate(serving.cert);
  }

  /** @returns the port, of interest where 0 was asked for */
  listen(port: number, host?: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        const address = this.#server.address();
        resolve(typeof address === "object" && address ? address.port : port);
      });
    });
  }

  /** Answers what is under way, then closes. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split("?")[0];
    if (path === "/mutate" && request.method === "POST") await this.#mutate(request, response);
    else if (request.method !== "GET") reply(response, 405, "GET or POST /mutate\n");
    else if (path === "/healthz") reply(response, 200, "ok\n");
    else if (path === "/readyz") {
      const ready = this.#options.isReady();
      reply(response, ready ? 200 : 503, ready ? "ok\n" : "CA bundle is not in place\n");
    } else if (path === "/metrics") {
      reply(response, 200, this.metrics.text(), "text/plain; version=0.0.4");
    } else reply(response, 404, "not here\n");
  }

  async #mutate(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const startedMs = performance.now();
    const body = await readBody(request);
    if (body === undefined) {
      this.metrics.count("too-large");
      reply(response, 413, `more than ${MAX_BODY_BYTES} bytes\n`);
      // What is left of the body is not read: the connection has no further use.
      response.once("finish", () => request.destroy());
      return;
    }
    try {
      const review = parseReview(body);
      const mutation = mutationFor(review, this.#options.settings);
      this.metrics.count(
        mutation.skipped ?? (mutation.patch.length > 0 ? "injected" : "unchanged"),
      );
      reply(response, 200, JSON.stringify(answer(review, mutation)), "application/json");
    } catch (error) {
      if (!(error instanceof ReviewError)) throw error;
      this.metrics.count("malformed");
      reply(response, 400, `${error.message}\n`);
    } finally {
      this.metrics.observe((performance.now() - startedMs) / 1000);
    }
  }
}

function reply(response: ServerResponse, status: number, text: string, type = "text/plain"): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** The whole body as text, or `undefined` if it is too large. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    request.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > MAX_BODY_BYTES) {
        request.pause();
        resolve(undefined);
      } else parts.push(part);
    });
    request.on("end", () => resolve(Buffer.concat(parts).toString()));
    request.on("error", reject);
    request.on("aborted", () => reject(new Error("request was cut short")));
  });
}
