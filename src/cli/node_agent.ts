/** `lxcfs node-agent`: serves the filesystem on a Kubernetes node and attaches it to containers. */
import { parseArgs } from "node:util";
import { askStatus } from "../daemon/control.ts";
import { controlSocketPath } from "../daemon/paths.ts";
import { Hand, serveHand } from "../k8s/agent/hand.ts";
import type { HostServerOptions } from "../k8s/agent/host_server.ts";
import { execServer, layUsr } from "../k8s/agent/host_server.ts";
import { install } from "../k8s/agent/install.ts";
import { joinCgroupOf } from "../k8s/agent/node_cgroup.ts";
import { podCommand } from "../k8s/agent/pod_command.ts";
import { runAgent } from "../k8s/agent/run_agent.ts";
import { AGENT_CAPABILITIES } from "../k8s/agent/capabilities.ts";
import { becomeProgram, enterPrivateRoot } from "../k8s/agent/private_root.ts";
import { ApiClient, podAccess } from "../k8s/api/client.ts";
import { DEFAULT_SETTINGS } from "../k8s/webhook/selection.ts";
import { readSettings } from "../k8s/webhook/settings.ts";
import { boundCapabilities } from "../sys/capabilities.ts";
import { Logger, logLevel } from "../sys/log.ts";
import { nodeDoctor, podDoctor } from "./node_agent_doctor.ts";
import { secondsToMs } from "./attach_common.ts";
import { run as status } from "./status.ts";
import { run as upgrade } from "./upgrade.ts";

export const summary = "Serve the filesystem on a Kubernetes node and attach it to containers";

const HELP = `Usage: lxcfs node-agent [OPTION]...
       lxcfs node-agent pod attach|detach|doctor|show|explain|debug ...
       lxcfs node-agent status|doctor
${summary}.
The other two are for the agent's pod, by exec: they look at and change what runs on its node.

  --run-dir DIR          where the mount and the sockets are (default: /run/lxcfs-ts)
  --install-dir DIR      where the program is copied to on the node (default: /var/lib/lxcfs-ts)
  --cgroups DIR          where the node's cgroups are mounted (default: /host/cgroup)
  --cgroup NAME          the server's own cgroup at the node's root (default: lxcfs-ts)
  --config FILE          settings, JSON
  --log-level LEVEL      debug, info, warn or error (default: info)
  --attach auto|nri|watch|off  how to learn of containers that start (default: auto)
  --attach-timeout SECONDS  how long attaching to one container may take (default: 5)
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
/** Where the chart mounts the settings: what is run by exec is given no options. */
const CONFIG = "/etc/lxcfs/settings.json";
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
      // Set in the agent's pod, for what is run there by exec.
      "run-dir": { type: "string", default: process.env["LXCFS_RUN_DIR"] ?? "/run/lxcfs-ts" },
      "install-dir": { type: "string", default: "/var/lib/lxcfs-ts" },
      cgroups: { type: "string", default: "/host/cgroup" },
      cgroup: { type: "string", default: "lxcfs-ts" },
      config: { type: "string" },
      "log-level": { type: "string", default: "info" },
      attach: { type: "string", default: "auto" },
      "attach-timeout": { type: "string", default: "5" },
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
  const attachMs = secondsToMs("attach-timeout", values["attach-timeout"]);
  if (values.hand) return await serveHand(mountPoint, values.cgroup, attachMs);
  if (values["lay-usr"] !== undefined) {
    layUsr(Number(values["lay-usr"]), values.program);
    return 0;
  }
  const statusSocket = controlSocketPath(runtimeDir, mountPoint);
  const config = values.config ?? CONFIG;
  if (positionals[0] === "pod") {
    const { holderPid } = await askStatus(statusSocket);
    joinCgroupOf(holderPid);
    if (positionals[1] === "doctor")
      return await podDoctor(positionals.slice(2), { mountPoint, config });
    return await podCommand(positionals.slice(1), mountPoint, command());
  }

  if (positionals[0] === "status") return await status([mountPoint, "--runtime-dir", runtimeDir]);
  if (positionals[0] === "doctor") {
    const status = await askStatus(statusSocket).catch(() => undefined);
    // Seen from a pod, the node's filesystem is that pod's: it is looked at from where the server is.
    if (status) joinCgroupOf(status.holderPid);
    return await nodeDoctor({ mountPoint, runtimeDir, config });
  }

  const log = new Logger(logLevel(values["log-level"]));
  const program = process.env[INSIDE];
  if (program === undefined) {
    const installed = install("/usr", values["install-dir"]);
    log.info("program installed", { directory: installed });
    enterPrivateRoot({
      program: installed,
      keep: [runDir, values["install-dir"], ...POD_ONLY],
      cgroups: values.cgroups,
    });
    boundCapabilities(AGENT_CAPABILITIES);
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
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  const handArgs = [
    ...["node-agent", "--hand", "--run-dir", runDir, "--cgroup", values.cgroup],
    ...["--attach-timeout", values["attach-timeout"]],
  ];
  await runAgent({
    ...{ server, runDir },
    client: new ApiClient(podAccess(process.env)),
    hand: new Hand(command()[1], handArgs),
    settings: values.config ? readSettings(values.config) : DEFAULT_SETTINGS,
    nodeName: process.env["NODE_NAME"] ?? "",
    installDir: values["install-dir"],
    attach: values.attach,
    nriSocket: values["nri-socket"],
    startupTaint: values["startup-taint"],
    daemonset: values.daemonset,
    cleanup: values.cleanup,
    ports: [Number(values["metrics-port"]), Number(values["health-port"])],
    stop: stop.signal,
  });
  return 0;
}
