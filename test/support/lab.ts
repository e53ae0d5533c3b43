/**
 * One server under test and the containers that use it, for a test file: opened before its tests,
 * closed after them.
 */
import { accessSync, constants } from "node:fs";
import { Container, type ContainerOptions } from "./container.ts";
import { unref } from "./guard.ts";
import { peerInstalled, Server, type ServerKind, type ServerOptions } from "./server.ts";

/** LXCFS_TEST_SERVER=peer proves what a test expects on Debian's lxcfs. */
export const kindUnderTest: ServerKind =
  process.env["LXCFS_TEST_SERVER"] === "peer" ? "peer" : "ours";

/** Why tests with real mounts and cgroups can't run here; false: they can. */
export function whyNoMounts(): string | false {
  if (process.getuid?.() !== 0) return "needs root, to mount and to make cgroups";
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
  } catch {
    return "needs /dev/fuse, which this machine does not offer";
  }
  return false;
}

/** Why nothing can be compared with Debian's lxcfs here; false: it can. */
export function whyNoPeer(): string | false {
  if (whyNoMounts() !== false) return whyNoMounts();
  return peerInstalled() ? false : "needs Debian's package lxcfs, see tools/setup-debian.sh";
}

/** A server and its containers. */
export class Lab {
  readonly server: Server;
  readonly #containers: Container[] = [];

  private constructor(server: Server) {
    this.server = server;
  }

  static async open(options: ServerOptions = {}): Promise<Lab> {
    return new Lab(await serverFor({ kind: kindUnderTest, ...options }));
  }

  /** A container with the server's files over its own; stopped with the lab at the latest. */
  async container(options: ContainerOptions = {}): Promise<Container> {
    const container = await Container.start({ mountpoint: this.server.mountpoint, ...options });
    this.#containers.push(container);
    return container;
  }

  async close(): Promise<void> {
    for (const container of this.#containers) container.stop();
    await release(this.server);
  }
}

/**
 * LXCFS_TEST_SHARE=1: test files that run in one process (test/vm/together.ts) share servers started
 * in the same way, since a start takes ten seconds in emulation.
 */
const sharing = process.env["LXCFS_TEST_SHARE"] === "1";
const shared = new Set<Server>();
const byOptions = new Map<string, Promise<Server>>();

/** A server started with these options; a shared one is stopped by `stopShared`. */
export async function serverFor(options: ServerOptions): Promise<Server> {
  if (!sharing) return await Server.start(options);
  const key = JSON.stringify(options);
  const started = byOptions.get(key) ?? Server.start(options);
  byOptions.set(key, started);
  const server = await started;
  // The tests are at their end when nothing else is open.
  const { process: child } = server;
  for (const open of [child, child.stdout, child.stderr]) unref(open);
  shared.add(server);
  return server;
}

/** Ends one that `serverFor` gave, unless others may go on with it. */
export async function release(server: Server | undefined): Promise<void> {
  if (server !== undefined && !shared.has(server)) await server.stop();
}

export async function stopShared(): Promise<void> {
  for (const server of shared) await server.stop();
}
