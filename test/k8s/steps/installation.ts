/** The chart is applied to a node that lets no pod in before the filesystem is there. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { namesOf, neededCapabilities } from "../../../src/daemon/capabilities.ts";
import { DEFAULT_VIEW } from "../../../src/daemon/config.ts";
import { AGENT_CAPABILITIES } from "../../../src/k8s/agent/capabilities.ts";
import { capabilityBits } from "../../../src/sys/capabilities.ts";
import { manifests } from "../chart.ts";
import { APPS, NAMESPACE, TAINT, type World } from "../world.ts";

export function installation(world: World): void {
  const { cluster } = world;

  it("installs from the chart", async () => {
    if (cluster.node) await cluster.kubectl(["taint", "nodes", "--all", TAINT]);
    await world.create(APPS, world.pod("early"));
    await world.install();
    await world.agentRolledOut();
    await world.webhookRolledOut();
    const status = await world.pluginSays("status");
    assert.match(status, /agent lxcfs\/lxcfs-agent-\w+, ready/);
    assert.match(status, /version +\d/);
  });

  it("took the taint away by which the node waited", { skip: needsNode(world) }, async () => {
    const path = ".items[*].spec.taints[*].key";
    assert.doesNotMatch(await world.field(NAMESPACE, "nodes", path), /lxcfs/);
    await world.ready(APPS, "early");
    // It was scheduled when the taint was gone, so the filesystem was there before it.
    const scheduled = await world.field(
      APPS,
      "pod/early",
      ".status.conditions[?(@.type=='PodScheduled')].lastTransitionTime",
    );
    const mounted = await world.field(
      NAMESPACE,
      await world.agentPod(),
      ".status.containerStatuses[0].state.running.startedAt",
    );
    assert.ok(Date.parse(scheduled) >= Date.parse(mounted), `${scheduled} ${mounted}`);
  });

  it("keeps of a privileged pod's rights what it needs", { skip: needsNode(world) }, async () => {
    const bits = async (pattern: string) =>
      BigInt(
        `0x${await cluster.onNode(`sed -n 's/^CapEff:\t//p' /proc/$(pgrep -f '${pattern}' | head -1)/status`)}`,
      );
    // The machine itself may be without some.
    const had = await bits("[k]ubelet --");
    const agent = await bits("[n]ode-agent --run-dir");
    assert.equal(agent, had & capabilityBits(AGENT_CAPABILITIES));
    assert.equal(
      await bits("[l]xcfs serve"),
      had & capabilityBits(namesOf(neededCapabilities(DEFAULT_VIEW))),
    );
  });

  it("tells what it does, as metrics, of which alerts and dashboard make use", async () => {
    const page = async (pod: string) =>
      await cluster.kubectl([
        ...["get", "--raw", `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/proxy/metrics`],
      ]);
    const agent = await page(`${(await world.agentPod()).replace("pod/", "")}:9756`);
    assert.match(agent, /^lxcfs_agent_mount_up 1$/m);
    assert.match(agent, /^lxcfs_requests_total\{file="proc\/meminfo",result="ok"\} [1-9]/m);
    assert.match(agent, /^lxcfs_request_duration_seconds_bucket\{le="\+Inf"\} [1-9]/m);
    const label = "app.kubernetes.io/component=webhook";
    const webhooks = await world.list(NAMESPACE, "pods", "-l", label, "-o", "name");
    const webhook = await page(`https:${webhooks[0]?.replace("pod/", "")}:8443`);
    assert.match(webhook, /^lxcfs_webhook_certificate_expiry_seconds [1-9]/m);
    const askers = { prometheusRule: { enabled: true }, dashboard: { enabled: true } };
    const expressions = manifests({ values: askers }).match(/^ +(?:expr: .*|.*"expr": .*)$/gm);
    const named = new Set(expressions?.join("\n").match(/lxcfs_\w+/g));
    assert.ok(named.size >= 14, [...named].join());
    for (const name of named) {
      const metric = name.replace(/_bucket$/, "");
      assert.match(agent + webhook, new RegExp(`^# TYPE ${metric} `, "m"));
    }
  });
}

/** For what cannot be done to a cluster that was given. */
export function needsNode(world: World): string | false {
  return world.cluster.node ? false : "needs the node";
}
