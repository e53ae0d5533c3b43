/** The agent's life: keeps the server up, listens for containers, and in the end knows which end it is. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClient } from "../api/client.ts";
import { NriPlugin } from "../nri/plugin.ts";
import type { InjectionSettings } from "../webhook/selection.ts";
import { ContainerWork } from "./agent.ts";
import { CgroupWatch, watchedHierarchy } from "./cgroup_watch.ts";
import type { Hand } from "./hand.ts";
import { MountProbe, serveHealth } from "./health.ts";
import { ensureServer, metricsSocket, type HostServerOptions } from "./host_server.ts";
import { removeUnused } from "./install.ts";
import { nodeMetrics } from "./metrics.ts";
import { removeCgroup } from "./node_cgroup.ts";
import { nodePath } from "./node_path.ts";
import { PodDirectory } from "./pods.ts";
import { ServerLog } from "./server_log.ts";
import { removeStartupTaint } from "./taint.ts";
import { isUninstalled } from "./uninstall.ts";

export interface AgentOptions {
  server: HostServerOptions;
  client: ApiClient;
  hand: Hand;
  settings: InjectionSettings;
  nodeName: string;
  /** Directories of the node that hold what is ours, and nothing else. */
  runDir: string;
  installDir: string;
  /** How to learn of containers that start. */
  attach: string;
  /** The runtime's socket, a path of the node. */
  nriSocket: string;
  startupTaint: string | undefined;
  /** `namespace/name` of the DaemonSet whose end is the end of the installation. */
  daemonset: string | undefined;
  /** Whether to take everything away at that end. */
  cleanup: boolean;
  ports: readonly number[];
  /** Aborts when the agent is to end. */
  stop: AbortSignal;
}

const LOOK_AFTER_MS = 2000;
const END_MS = 10_000;

export async function runAgent(options: AgentOptions): Promise<void> {
  const { server, client, hand, stop } = options;
  const { log, mountPoint, runtimeDir } = server;
  const pods = new PodDirectory(client, options.nodeName);
  const work = new ContainerWork({ settings: options.settings, pods, hand, log });
  const probe = new MountProbe(mountPoint);
  mkdirSync(runtimeDir, { recursive: true });
  const serverLog = new ServerLog(runtimeDir);
  const { nri, watch } = listeners(options, work);
  const health = await serveHealth(
    {
      probe,
      complaints: () => (nri && !nri.ready ? ["not registered with the runtime"] : []),
      stuck: () => nri !== undefined && !nri.healthy,
      metrics: () =>
        nodeMetrics({
          ...{ hand, work, serverSocket: metricsSocket(runtimeDir) },
          probe: probe.check.bind(probe),
          nriReady: () => nri?.ready,
        }),
    },
    options.ports,
  );

  const isGone = async () =>
    options.daemonset !== undefined && (await isUninstalled(client, options.daemonset));
  // Known before it matters: at the end, being refused what was granted says as much as "not found".
  let couldAsk = false;
  let listening = false;
  let tainted = options.startupTaint !== undefined;
  while (!stop.aborted) {
    try {
      const ensured = await ensureServer(server);
      if (ensured === "started" || ensured === "upgraded") {
        log.info("server is up", { ensured });
        const { containers } = await hand.run({ do: "heal" });
        if (containers > 0) log.info("dead mounts replaced", { containers });
        removeUnused(options.installDir, server.program);
      }
      if (!listening) {
        nri?.start();
        watch?.start();
        listening = true;
      }
      if (tainted && (await probe.check()).ok) {
        await removeStartupTaint(client, options.nodeName, options.startupTaint);
        tainted = false;
      }
      couldAsk ||= options.daemonset !== undefined && !(await isGone());
    } catch (error) {
      log.error("server could not be looked after", { error: String(error) });
    }
    serverLog.tell();
    await sleep(LOOK_AFTER_MS, undefined, { signal: stop }).catch(() => undefined);
  }

  nri?.stop();
  watch?.close();
  health.close();
  // Not knowing is no reason to take anything away.
  if (options.cleanup && couldAsk && (await isGone().catch(() => false))) await uninstall(options);
  hand.close();
  serverLog.tell();
  serverLog.close();
  client.close();
}

/** By the runtime itself where it offers that and it is wanted, else by the cgroups it makes. */
function listeners(options: AgentOptions, work: ContainerWork) {
  const { attach, server } = options;
  const { log } = server;
  // Anew for each connection: links of the node may change.
  const socketPath = () => nodePath(options.nriSocket);
  const byNri = attach === "nri" || (attach === "auto" && existsSync(socketPath()));
  if (byNri) {
    const onContainer = work.fromRuntime.bind(work);
    return { nri: new NriPlugin({ socketPath, onContainer, log }), watch: undefined };
  }
  if (attach !== "watch" && attach !== "auto") return { nri: undefined, watch: undefined };
  const watch = new CgroupWatch(watchedHierarchy(), (seen) => {
    work.fromCgroup(seen).catch((error: unknown) => {
      log.error("container was not attached", { id: seen.id, error: String(error) });
    });
  });
  return { nri: undefined, watch };
}

/** Containers first: while they are freed, what they read is still answered. */
async function uninstall({ server, hand, runDir, installDir }: AgentOptions): Promise<void> {
  const { log } = server;
  log.info("uninstalled: taking everything away");
  const served = await server.askStatus().catch(() => undefined);
  const except = [process.pid, ...(served ? [served.holderPid, served.serverPid] : [])];
  const { containers } = await hand.run({ do: "detach-all", except });
  log.info("detached from containers", { containers });
  hand.close();
  if (served) await endServer(served.holderPid);
  await removeCgroup(server.cgroup);
  for (const directory of [runDir, installDir])
    for (const name of readdirSync(directory))
      rmSync(`${directory}/${name}`, { recursive: true, force: true });
}

/** Has the holder unmount and end. */
async function endServer(holderPid: number): Promise<void> {
  process.kill(holderPid, "SIGTERM");
  const untilMs = performance.now() + END_MS;
  while (existsSync(`/proc/${holderPid}`) && performance.now() < untilMs) await sleep(100);
}
