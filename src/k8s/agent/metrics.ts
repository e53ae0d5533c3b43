/**
 * The node's metrics in the Prometheus text format: the agent's own, and behind them the server's,
 * which has no port of its own (its network is the node's) but a socket.
 */
import { request } from "node:http";
import type { ContainerWork } from "./agent.ts";
import type { Hand } from "./hand.ts";
import type { Probe } from "./health.ts";

const SERVER_MS = 1000;

export interface MetricsSources {
  hand: Hand;
  work: ContainerWork;
  /** What a read through the mount comes to now. */
  probe(): Promise<Probe>;
  /** Whether the runtime tells this agent of containers; `undefined` where that was not asked for. */
  nriReady(): boolean | undefined;
  /** The server's socket for metrics. */
  serverSocket: string;
}

/** The whole page. The server's part is missing while it does not answer. */
export async function nodeMetrics(sources: MetricsSources): Promise<string> {
  const server = askServer(sources.serverSocket).catch(() => "");
  return agentMetrics(sources, await sources.probe()) + (await server);
}

function agentMetrics(sources: MetricsSources, probe: Probe): string {
  const { hand, work } = sources;
  const jobs = [...hand.outcomes].map(([key, count]) => {
    const [kind, status] = key.split(" ");
    return `lxcfs_agent_jobs_total{kind="${kind}",status="${status}"} ${count}`;
  });
  const skipped = [...work.skipped].map(
    ([why, count]) => `lxcfs_agent_skipped_total{reason="${why}"} ${count}`,
  );
  const nri = sources.nriReady();
  const parts = [
    metric("jobs_total", "counter", "Attachments and detachments by how they ended.", jobs),
    metric("skipped_total", "counter", "Containers left alone, by reason.", skipped),
    metric("healed_total", "counter", "Containers whose dead mounts were replaced.", [
      `lxcfs_agent_healed_total ${hand.containers.get("heal") ?? 0}`,
    ]),
    metric("mount_up", "gauge", "Whether a read of meminfo through the mount is answered.", [
      `lxcfs_agent_mount_up ${probe.ok ? 1 : 0}`,
    ]),
    metric("mount_read_seconds", "gauge", "How long that read took.", [
      `lxcfs_agent_mount_read_seconds ${probe.milliseconds / 1000}`,
    ]),
  ];
  if (nri !== undefined)
    parts.push(
      metric("nri_ready", "gauge", "Whether the runtime tells this agent of containers.", [
        `lxcfs_agent_nri_ready ${nri ? 1 : 0}`,
      ]),
    );
  return parts.join("");
}

function metric(name: string, type: string, help: string, samples: readonly string[]): string {
  const head = [`# HELP lxcfs_agent_${name} ${help}`, `# TYPE lxcfs_agent_${name} ${type}`];
  return `${[...head, ...samples].join("\n")}\n`;
}

function askServer(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: "/metrics", timeout: SERVER_MS }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text));
      answer.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("error", reject);
    asked.end();
  });
}
