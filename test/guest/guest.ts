/**
 * What the suites of this folder share: they run inside the virtual machine (test/vm), as root,
 * and refuse to run anywhere else, since they start services and change the machine's settings.
 */
import { existsSync } from "node:fs";
import type { Server, ServerOptions } from "../support/server.ts";
import { serverFor } from "../support/lab.ts";
import { type Layout, parseLayout } from "../vm/layout.ts";

if (!existsSync("/vm/agent")) {
  throw new Error("This suite runs in the virtual machine only: see docs/testing.md");
}

/** The cgroup layout that the machine was booted with, by what the host says. */
export const layout: Layout = parseLayout(process.env["LXCFS_VM_LAYOUT"] ?? "v2");

/** Whether limits are set in v1's files. */
export const limitsAreV1: boolean = layout !== "v2";

/** CPUs and memory of the machine as test/vm starts it. */
export const MACHINE = { cpus: 4, memoryMib: 2048, swapMib: 1024 } as const;

/** How long a program may take to come up; many times that in emulation (see `waitFor`). */
export const START_MS = 15_000;

/**
 * LXCFS_TEST_SERVER=peer runs a suite on Debian's lxcfs, to tell a test's faults from ours. Not
 * checked then is what it does otherwise: CPUs keep the host's numbers, and on v2 swap is 0.
 */
export const peerIsServer: boolean = process.env["LXCFS_TEST_SERVER"] === "peer";

/** Starts a server that containers of a test can be given. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const kind = peerIsServer ? "peer" : "ours";
  const server = await serverFor({ kind, ...options, wait: false });
  try {
    await server.answers(START_MS);
    return server;
  } catch (error) {
    server.kill();
    throw error;
  }
}
