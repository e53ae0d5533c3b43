/**
 * A program to be killed: makes a container (and a server, where the peer is installed), says so
 * on one line (cgroup directory, init's pid, server's directory) and waits.
 */
import { Container } from "./container.ts";
import { peerInstalled, Server } from "./server.ts";

const server = peerInstalled() ? await Server.start({ kind: "peer" }) : undefined;
const container = await Container.start(server ? { mountpoint: server.mountpoint } : {});
const said = [container.cgroups.directories()[0], container.initPid, server?.directory ?? ""];
console.log(said.join(" "));
setInterval(() => undefined, 60_000);
