/** Where the daemon's own servers listen: a TCP address or a socket in the filesystem. */
import { chmodSync, mkdirSync, renameSync, rmSync } from "node:fs";
import type { Server } from "node:net";
import { dirname } from "node:path";

/** A place to listen at. */
export type ListenAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT`, `:PORT` (all addresses) or `/PATH`.
 * @throws Error saying what was expected
 */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith("/")) return { path: text };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) {
    throw new Error(
      `Cannot listen on "${text}": HOST:PORT or a path that begins with / is expected`,
    );
  }
  return { host: bracketed ?? (plain || "::"), port };
}

/** How often a TCP port is tried again that a predecessor has not given up yet. */
const RETRY_MS = 500;

/**
 * Listens, also while a predecessor still does. A socket is bound beside its path and then renamed
 * there, so that there is no moment in which nobody can be asked; a port is tried until it is free.
 * @param failed told of each failure; a port in use is one
 */
export function listen(
  server: Server,
  address: ListenAddress,
  failed: (error: Error) => void,
): void {
  if ("path" in address) {
    listenOnPath(server, address.path, failed);
    return;
  }
  server.on("error", (error) => {
    failed(error);
    setTimeout(() => server.listen(address.port, address.host), RETRY_MS).unref();
  });
  server.listen(address.port, address.host);
}

function listenOnPath(server: Server, path: string, failed: (error: Error) => void): void {
  const own = `${path}.${process.pid}`;
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  };
  server.on("error", failed);
  attempt(() => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    rmSync(own, { force: true });
    // Bound when this returns, though told of later.
    server.listen(own);
    if (!server.listening) return;
    // Root's alone: who may ask is who may stop the daemon.
    chmodSync(own, 0o600);
    renameSync(own, path);
  });
}
