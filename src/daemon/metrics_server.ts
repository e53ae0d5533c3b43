/**
 * `--metrics`: `/metrics`, `/healthz` (the process answers) and `/readyz` (a read through the mount
 * is answered in time) over HTTP. Off by default.
 */
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import { listen, parseListenAddress } from "./listen.ts";

/** A read through the mount that takes longer is no service. */
const READY_MS = 1000;

export class MetricsServer {
  readonly #mountpoint: string;
  readonly #metrics: () => string;

  constructor(config: DaemonConfig, log: Logger, metrics: () => string) {
    this.#mountpoint = config.mountpoint;
    this.#metrics = metrics;
    const server = createServer((request, response) => {
      void this.#answer(request.url ?? "/", response);
    });
    server.requestTimeout = 5000;
    server.maxConnections = 64;
    listen(server, parseListenAddress(config.metrics), (error) => {
      log.warn("no metrics", { address: config.metrics, cause: error.message });
    });
  }

  async #answer(url: string, response: ServerResponse): Promise<void> {
    switch (new URL(url, "http://localhost").pathname) {
      case "/metrics":
        response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
        response.end(this.#metrics());
        return;
      case "/healthz":
        response.end("ok\n");
        return;
      case "/readyz": {
        const { ready, said } = await this.#readThroughMount();
        response.statusCode = ready ? 200 : 503;
        response.end(`${said}\n`);
        return;
      }
      default:
        response.statusCode = 404;
        response.end("not found: /metrics, /healthz, /readyz\n");
    }
  }

  /** Reads a file as any process of the host would: through the kernel, answered by our threads. */
  async #readThroughMount(): Promise<{ ready: boolean; said: string }> {
    const startMs = performance.now();
    try {
      const signal = AbortSignal.timeout(READY_MS);
      const late = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error(`no answer in ${READY_MS} ms`)));
      });
      const text = await Promise.race([
        readFile(join(this.#mountpoint, "proc/meminfo"), "latin1"),
        late,
      ]);
      if (!text.startsWith("MemTotal:")) throw new Error("meminfo does not begin with MemTotal");
      return { ready: true, said: `ok ${(performance.now() - startMs).toFixed(1)} ms` };
    } catch (error) {
      return { ready: false, said: error instanceof Error ? error.message : String(error) };
    }
  }
}
