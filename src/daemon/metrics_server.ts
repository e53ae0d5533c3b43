/**
 * `--metrics`: `/metrics`, `/healthz` (the process answers) and `/readyz` (a read through the mount
 * is answered in time) over HTTP. Off by default.
 */
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Logger } from "../sys/log.ts";
import type { DaemonConfig } from "./config.ts";
import type { HostNamespace } from "./host_namespace.ts";
import { listen, parseListenAddress } from "./listen.ts";

/** A read through the mount that takes longer is no service. */
const READY_MS = 1000;

/** @param metrics makes the page */
export function serveMetrics(
  config: DaemonConfig,
  host: HostNamespace,
  log: Logger,
  metrics: () => string,
): void {
  const mountpoint = host.path(config.mountpoint);
  const server = createServer((request, response) => {
    void answer(request.url ?? "/", response, mountpoint, metrics);
  });
  server.requestTimeout = 5000;
  server.maxConnections = 64;
  host.inside(() =>
    listen(server, parseListenAddress(config.metrics), (error) => {
      log.warn("no metrics", { address: config.metrics, cause: error.message });
    }),
  );
}

async function answer(
  url: string,
  response: ServerResponse,
  mountpoint: string,
  metrics: () => string,
): Promise<void> {
  switch (url.split("?")[0]) {
    case "/metrics":
      response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
      response.end(metrics());
      return;
    case "/healthz":
      response.end("ok\n");
      return;
    case "/readyz": {
      const { ready, said } = await readThrough(mountpoint);
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
async function readThrough(mountpoint: string): Promise<{ ready: boolean; said: string }> {
  const startMs = performance.now();
  const late = new Promise<undefined>((resolve) =>
    setTimeout(resolve, READY_MS, undefined).unref(),
  );
  try {
    const text = await Promise.race([readFile(join(mountpoint, "proc/meminfo"), "latin1"), late]);
    if (text === undefined) return { ready: false, said: `no answer in ${READY_MS} ms` };
    if (!text.startsWith("MemTotal:")) return { ready: false, said: "meminfo has no MemTotal" };
    return { ready: true, said: `ok ${(performance.now() - startMs).toFixed(1)} ms` };
  } catch (error) {
    return { ready: false, said: error instanceof Error ? error.message : String(error) };
  }
}
