/** The agent's own counters in the Prometheus text format; the server has metrics of its own. */
import type { ContainerWork } from "./agent.ts";
import type { Hand } from "./hand.ts";

export function agentMetrics(
  hand: Hand,
  work: ContainerWork,
  nriReady: boolean | undefined,
): string {
  const lines = [
    "# HELP lxcfs_agent_jobs_total Attachments and detachments by how they ended.",
    "# TYPE lxcfs_agent_jobs_total counter",
  ];
  for (const [key, count] of hand.outcomes) {
    const [kind, status] = key.split(" ");
    lines.push(`lxcfs_agent_jobs_total{kind="${kind}",status="${status}"} ${count}`);
  }
  lines.push(
    "# HELP lxcfs_agent_skipped_total Containers left alone, by reason.",
    "# TYPE lxcfs_agent_skipped_total counter",
  );
  for (const [why, count] of work.skipped)
    lines.push(`lxcfs_agent_skipped_total{reason="${why}"} ${count}`);
  if (nriReady !== undefined)
    lines.push(
      "# HELP lxcfs_agent_nri_ready Whether the runtime tells this agent of containers.",
      "# TYPE lxcfs_agent_nri_ready gauge",
      `lxcfs_agent_nri_ready ${nriReady ? 1 : 0}`,
    );
  return `${lines.join("\n")}\n`;
}
