/** `lxcfs node-agent`: serves the filesystem on a Kubernetes node and attaches it to containers. */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { askStatus } from "../daemon/control.ts";
import { controlSocketPath } from "../daemon/paths.ts";
import { ContainerWork } from "../k8s/agent/agent.ts";
import { CgroupWatch, watchedHierarchy } from "../k8s/agent/cgroup_watch.ts";
import { Hand, serveHand } from "../k8s/agent/hand.ts";
import { MountProbe, serveHealth } from "../k8s/agent/health.ts";
import type { HostServerOptions } from "../k8s/agent/host_server.ts";
import { ensureServer, execServer, layUsr } from "../k8s/agent/host_server.ts";
import { install, removeUnused } from "../k8s/agent/install.ts";
import { agentMetrics } from "../k8s/agent/metrics.ts";
import { joinCgroupOf, removeCgroup } from "../k8s/agent/node_cgroup.ts";
import { PodDirectory } from "../k8s/agent/pods.ts";
import { podCommand } from "../k8s/agent/pod_command.ts";
import { becomeProgram, enterPrivateRoot } from "../k8s/agent/private_root.ts";
import { removeStartupTaint } from "../k8s/agent/taint.ts";
import { isUninstalled } from "../k8s/agent/uninstall.ts";
import { ApiClient, podAccess } from "../k8s/api/client.ts";
import { NriPlugin } from "../k8s/nri/plugin.ts";
import { DEFAULT_SETTINGS } from "../k8s/webhook/selection.ts";
import { readSettings } from "../k8s/webhook/settings.ts";
import { Logger } from "../sys/log.ts";
import { run as upgrade } from "./upgrade.ts";

export const summary = "Serve the filesystem on a Kubernetes node and attach it to containers";

const HELP = `Usage: lxcfs node-agent [OPTION]...
       lxcfs node-agent pod attach|detach|show|explain|doctor UID [CONTAINER-ID]...
${summary}.

  --run-dir DIR          where the mount and the sockets are (default: /run/lxcfs-ts)
  --install-dir DIR      where the program is copied to on the node (default: /var/lib/lxcfs-ts)
  --cgroups DIR          where the node's cgroups are mounted (default: /host/cgroup)
  --cgroup NAME          the server's own cgroup at the node's root (default: lxcfs-ts)
  --config FILE          settings, JSON
  --attach auto|nri|watch|off  how to learn of containers that start (default: auto)
  --nri-socket PATH      the runtime's socket, a path of the node
  --daemonset NS/NAME    the DaemonSet whose end is the end of the installation
  --cleanup              at that end detach from all containers, unmount, remove what was copied
  --startup-taint TAINT  key=value:effect to take from the node once the filesystem answers
  --server-arg ARG       option for the server (repeat for more)
  --metrics-port PORT    /metrics (default: 9756)
  --health-port PORT     /startupz, /readyz, /healthz (default: 9757)
  --help                 this text
`;

const INSIDE = "LXCFS_AGENT_INSIDE";
const LOOK_AFTER_MS = 2000;
/** kubelet's and the API's files in the pod, of which the server has no need. */
const POD_ONLY = ["/var/run/secrets", "/etc/lxcfs", "/etc/resolv.conf", "/etc/hosts"];

/** This program, as it is to be started again. */
function command(): [string, string] {
  return [process.execPath, process.argv[1] ?? ""];
}

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      "run-dir": { type: "string", default: "/run/lxcfs-ts" },
      "install-dir": { type: "string", default: "/var/lib/lxcfs-ts" },
      cgroups: { type: "string", default: "/host/cgroup" },
      cgroup: { type: "string", default: "lxcfs-ts" },
      config: { type: "string" },
      attach: { type: "string", default: "auto" },
      "nri-socket": { type: "string", default: "/var/run/nri/nri.sock" },
      daemonset: { type: "string" },
      cleanup: { type: "boolean", default: false },
      "startup-taint": { type: "string" },
      "server-arg": { type: "string", multiple: true, default: [] },
      "metrics-port": { type: "string", default: "9756" },
      "health-port": { type: "string", default: "9757" },
      help: { type: "boolean", default: false },
      "exec-server": { type: "boolean", default: false },
      hand: { type: "boolean", default: false },
      "lay-usr": { type: "string" },
      program: { type: "string", default: "" },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const runDir = values["run-dir"];
  const mountPoint = `${runDir}/fs`;
  const runtimeDir = `${runDir}/run`;
  if (values["exec-server"]) execServer(command(), positionals, values.cgroup, POD_ONLY);
  if (values.hand) return await serveHand(mountPoint, values.cgroup);
  if (values["lay-usr"] !== undefined) {
    layUsr(Number(values["lay-usr"]), values.program);
    return 0;
  }
  const statusSocket = controlSocketPath(runtimeDir, mountPoint);
  if (positionals[0] === "pod") {
    const { holderPid } = await askStatus(statusSocket);
    joinCgroupOf(holderPid);
    return await podCommand(positionals.slice(1), mountPoint, command());
  }

  const log = new Logger();
  const program = process.env[INSIDE];
  if (program === undefined) {
    const installed = install("/usr", values["install-dir"]);
    log.info("program installed", { directory: installed });
    enterPrivateRoot({
      program: installed,
      keep: [runDir, values["install-dir"], ...POD_ONLY],
      cgroups: values.cgroups,
    });
    const environment: Record<string, string> = { [INSIDE]: installed };
    for (const [name, value] of Object.entries(process.env))
      if (value !== undefined) environment[name] = value;
    becomeProgram(command(), process.argv.slice(2), environment);
  }

  const server: HostServerOptions = {
    mountPoint,
    runtimeDir,
    program,
    serverArgs: values["server-arg"],
    cgroup: values.cgroup,
    command: command(),
    askStatus: () => askStatus(statusSocket),
    upgrade: () => upgrade([mountPoint, "--runtime-dir", runtimeDir]),
    log,
  };
  const client = new ApiClient(podAccess(process.env));
  const pods = new PodDirectory(client, process.env["NODE_NAME"] ?? "");
  const hand = new Hand(command()[1], [
    "node-agent",
    "--hand",
    "--run-dir",
    runDir,
    "--cgroup",
    values.cgroup,
  ]);
  const settings = values.config ? readSettings(values.config) : DEFAULT_SETTINGS;
  const work = new ContainerWork({ settings, pods, hand, log });
  const probe = new MountProbe(mountPoint);

  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());

  const nriSocket = `/proc/1/root${values["nri-socket"]}`;
  const byNri = values.attach === "nri" || (values.attach === "auto" && existsSync(nriSocket));
  const byWatch = values.attach === "watch" || (values.attach === "auto" && !byNri);
  const onContainer = work.fromRuntime.bind(work);
  const nri = byNri ? new NriPlugin({ socketPath: nriSocket, onContainer, log }) : undefined;
  const watch = byWatch
    ? new CgroupWatch(watchedHierarchy(), (seen) => {
        work.fromCgroup(seen).catch((error: unknown) => {
          log.error("container was not attached", { id: seen.id, error: String(error) });
        });
      })
    : undefined;

  const health = await serveHealth(
    {
      probe,
      complaints: () => (nri && !nri.ready ? ["not registered with the runtime"] : []),
      stuck: () => nri !== undefined && !nri.healthy,
      metrics: () => agentMetrics(hand, work, nri?.ready),
    },
    [Number(values["metrics-port"]), Number(values["health-port"])],
  );

  // Known before it matters: at the end, being refused what was granted says as much as "not found".
  const daemonset = values.daemonset;
  const couldAsk = daemonset ? !(await isUninstalled(client, daemonset).catch(() => true)) : false;
  let listening = false;
  let tainted = values["startup-taint"] !== undefined;
  while (!stop.signal.aborted) {
    try {
      const ensured = await ensureServer(server);
      if (ensured === "started" || ensured === "upgraded") {
        log.info("server is up", { ensured });
        const { containers } = await hand.run({ do: "heal" });
        if (containers > 0) log.info("dead mounts replaced", { containers });
        removeUnused(values["install-dir"], program);
      }
      if (!listening) {
        nri?.start();
        watch?.start();
        listening = true;
      }
      if (tainted && (await probe.check()).ok) {
        await removeStartupTaint(client, process.env["NODE_NAME"] ?? "", values["startup-taint"]);
        tainted = false;
      }
    } catch (error) {
      log.error("server could not be looked after", { error: String(error) });
    }
    await sleep(LOOK_AFTER_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }

  nri?.stop();
  watch?.close();
  health.close();
  if (values.cleanup && daemonset && couldAsk && (await isUninstalled(client, daemonset))) {
    log.info("uninstalled: taking everything away");
    const status = await askStatus(statusSocket).catch(() => undefined);
    const except = [process.pid, ...(status ? [status.holderPid, status.serverPid] : [])];
    const { containers } = await hand.run({ do: "detach-all", except });
    log.info("detached from containers", { containers });
    hand.close();
    if (status) await endServer(status.holderPid);
    await removeCgroup(values.cgroup);
    for (const directory of [runDir, values["install-dir"]])
      for (const name of readdirSync(directory))
        rmSync(`${directory}/${name}`, { recursive: true, force: true });
  }
  hand.close();
  client.close();
  return 0;
}

/** Has the holder unmount and end. */
async function endServer(holderPid: number): Promise<void> {
  process.kill(holderPid, "SIGTERM");
  for (let tries = 0; tries < 100 && existsSync(`/proc/${holderPid}`); tries++) await sleep(100);
}
