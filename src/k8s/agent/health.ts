/**
 * The agent's probes and metrics over HTTP. Startup: the filesystem was there once. Readiness: a
 * real read through the mount answers in time, and the runtime is heard where that was asked for.
 * Liveness: this event loop turns and no request of the runtime is stuck; never the server's state,
 * since ending the agent mends nothing there.
 */
import { readFile } from "node:fs/promises";
import type { Server } from "node:http";
import { createServer } from "node:http";

/** What a reading of meminfo through the mount came to. */
export interface Probe {
  ok: boolean;
  milliseconds: number;
  why?: string;
}

/** At most one read is under way: one that hangs holds one thread of the pool, not all of them. */
export class MountProbe {
  readonly #path: string;
  readonly #limitMs: number;
  #pending: Promise<Probe> | undefined;

  constructor(mountPoint: string, limitMs = 1000) {
    this.#path = `${mountPoint}/proc/meminfo`;
    this.#limitMs = limitMs;
  }

  async check(): Promise<Probe> {
    this.#pending ??= this.#read().finally(() => (this.#pending = undefined));
    const startedMs = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Probe>((resolve) => {
      timer = setTimeout(() => {
        const why = `no answer in ${this.#limitMs} ms`;
        resolve({ ok: false, milliseconds: performance.now() - startedMs, why });
      }, this.#limitMs);
    });
    const probe = await Promise.race([this.#pending, late]);
    clearTimeout(timer);
    return probe;
  }

  async #read(): Promise<Probe> {
    const startedMs = performance.now();
    const took = () => performance.now() - startedMs;
    try {
      const text = await readFile(this.#path, "latin1");
      const ok = /^MemTotal: +[1-9]\d* kB$/m.test(text);
      return { ok, milliseconds: took(), ...(ok ? {} : { why: "it has no MemTotal" }) };
    } catch (error) {
      return { ok: false, milliseconds: took(), why: String(error) };
    }
  }
}

export interface HealthOptions {
  probe: MountProbe;
  /** Reasons why the agent cannot do its work, apart from the mount; empty if it can. */
  complaints(): string[];
  /** Whether something is stuck that a restart of the agent would mend. */
  stuck(): boolean;
  metrics(): Promise<string>;
}

/** Answers /startupz, /readyz, /healthz and /metrics on each of `ports`. */
export async function serveHealth(options: HealthOptions, ports: readonly number[]) {
  let started = false;
  const handler: Parameters<typeof createServer>[1] = (request, response) => {
    const answer = async (): Promise<[number, string]> => {
      const path = request.url?.split("?")[0];
      if (path === "/metrics") return [200, await options.metrics()];
      if (path === "/healthz") return options.stuck() ? [503, "stuck\n"] : [200, "ok\n"];
      if (path !== "/startupz" && path !== "/readyz") return [404, "not here\n"];
      if (path === "/startupz" && started) return [200, "ok\n"];
      const probe = await options.probe.check();
      started ||= probe.ok;
      const complaints = path === "/readyz" ? options.complaints() : [];
      if (!probe.ok) complaints.push(`read through the mount: ${probe.why}`);
      return complaints.length > 0 ? [503, `${complaints.join("\n")}\n`] : [200, "ok\n"];
    };
    answer()
      .catch((error: unknown): [number, string] => [500, `${String(error)}\n`])
      .then(
        ([status, text]) => {
          response.writeHead(status, { "content-type": "text/plain; version=0.0.4" });
          response.end(text);
        },
        () => response.destroy(),
      );
  };
  const servers: Server[] = [];
  for (const port of new Set(ports)) {
    const server = createServer(handler);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, resolve);
    });
    servers.push(server);
  }
  return {
    close: () => {
      for (const server of servers) server.close().closeAllConnections();
    },
  };
}
