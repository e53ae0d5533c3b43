/** Told of containers by the runtime itself, before their program runs. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually } from "../cluster.ts";
import { MEMORY_KB, NAMESPACE, RESTRICTED, type World } from "../world.ts";

/** Containers of which each must be right from its first read. */
const CONTAINERS = 8;

export function nri(world: World): void {
  const { cluster } = world;
  const skip = cluster.node?.nri ? false : "needs a node whose containerd offers NRI (1.7)";
  const securityContext = { runAsNonRoot: true, runAsUser: 1000 };
  const registered = async () => {
    const pod = (await world.agentPod()).replace("pod/", "");
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:9756/proxy/metrics`;
    const page = await cluster.kubectl(["get", "--raw", path]);
    assert.match(page, /^lxcfs_agent_nri_ready 1$/m);
  };
  /** Containers that look once, at once, one after the other. */
  const look = async (pod: string) => {
    const command = "cat /proc/meminfo /proc/pressure/memory /proc/uptime";
    const names = Array.from({ length: CONTAINERS }, (_, at) => `look-${at}`);
    const initContainers = names.map((name) => world.container(name, { command }));
    await world.create(RESTRICTED, world.pod(pod, {}, { securityContext, initContainers }));
    await world.ready(RESTRICTED, pod);
    for (const name of names) {
      const seen = await cluster.kubectl(["-n", RESTRICTED, "logs", pod, "-c", name]);
      assert.match(seen, new RegExp(`^MemTotal: +${MEMORY_KB} kB`), name);
      assert.match(seen, /^some avg10=/m, name);
      assert.ok(Number(/^([\d.]+) [\d.]+ *$/m.exec(seen)?.[1]) < 60, `${name}: ${seen.slice(-80)}`);
    }
  };

  it(
    "containers see their own machine from their first read on, unchanged pods",
    { skip },
    async () => {
      await world.install({ injection: { mode: "attach" }, agent: { attach: "nri" } });
      await world.agentRolledOut();
      await eventually(registered);
      await look("nri-first");
    },
  );

  it("goes on when the runtime is restarted", { skip }, async () => {
    await cluster.onNode(`kill -9 $(cat ${cluster.node?.dir}/pids/containerd)`);
    await cluster.mend();
    await eventually(registered);
    await look("nri-again");
  });
}
