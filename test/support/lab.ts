/**
 * One server under test and the containers that use it, for a test file: opened before its tests,
 * closed after them.
 */
import { accessSync, constants } from "node:fs";
import { Container, type ContainerOptions } from "./container.ts";
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
    return new Lab(await Server.start({ kind: kindUnderTest, ...options }));
  }

  /** A container with the server's files over its own; stopped with the lab at the latest. */
  async container(options: ContainerOptions = {}): Promise<Container> {
    const container = await Container.start({ mountpoint: this.server.mountpoint, ...options });
    this.#containers.push(container);
    return container;
  }

  async close(): Promise<void> {
    for (const container of this.#containers) container.stop();
    await this.server.stop();
  }
}
