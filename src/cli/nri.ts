/**
 * `lxcfs nri`: the NRI plugin on its own, for hosts with containerd or CRI-O and no node agent.
 * Every container gets its files unless its pod's label or annotation opts it out.
 */
import { parseArgs } from "node:util";
import { AttachPool } from "../attach/pool.ts";
import { Attacher } from "../k8s/agent/attacher.ts";
import { decide } from "../k8s/agent/decide.ts";
import { NriPlugin } from "../k8s/nri/plugin.ts";
import { DEFAULT_SETTINGS } from "../k8s/webhook/selection.ts";
import { Logger } from "../sys/log.ts";
import { command, findMountPoint } from "./attach_common.ts";

export const summary = "Attach to every container as containerd or CRI-O is about to start it";

const HELP = `Usage: lxcfs nri [OPTION]...
${summary}.

  --socket PATH     the runtime's NRI socket (default: /var/run/nri/nri.sock)
  --mountpoint DIR  where lxcfs is mounted (default: the one mount there is)
  --help            this text
`;

/** The namespace's label is what would opt in; on a host of its own everything is opted in. */
const EVERYTHING = { "lxcfs.io/inject": "enabled" };

export function run(args: readonly string[]): Promise<number> {
  return command("nri", () => attachUntilStopped(args));
}

async function attachUntilStopped(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      socket: { type: "string", default: "/var/run/nri/nri.sock" },
      mountpoint: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const log = new Logger();
  const pool = new AttachPool();
  const attacher = new Attacher(pool, await findMountPoint(values.mountpoint));
  const plugin = new NriPlugin({
    socketPath: () => values.socket,
    log,
    onContainer: async ({ name, namespace, labels, annotations }, container) => {
      const pod = { metadata: { name, namespace, labels, annotations } };
      const settings = { ...DEFAULT_SETTINGS, skipNamespaces: [] };
      const decision = decide(pod, EVERYTHING, settings);
      if (!decision.attach || container.pid === 0) return;
      if (decision.excludedContainers.has(container.name)) return;
      const { status, message } = await attacher.attach(container.pid, decision.wanted);
      log.info("attached", { container: container.name, status, message });
    },
  });
  plugin.start();
  await new Promise((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  plugin.stop();
  await pool.close();
  return 0;
}
