/** The webhook goes, then everything: pods run on, and nothing is left. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually, SERVER_CGROUP } from "../cluster.ts";
import { APPS, MEMORY_KB, NAMESPACE, RESTRICTED, type World } from "../world.ts";
import { counts } from "./survival.ts";

/** Kinds the chart makes, and that a list by label shows. */
const KINDS = [
  ...["all", "configmaps", "secrets", "serviceaccounts", "roles", "rolebindings"],
  ...["clusterroles", "clusterrolebindings", "poddisruptionbudgets"],
  "mutatingwebhookconfigurations",
].join(",");

export function uninstallation(world: World): void {
  const { cluster } = world;

  it("lets pods start while the webhook is down, and attaches to them", async () => {
    await world.install();
    await world.agentRolledOut();
    await cluster.kubectl(["-n", NAMESPACE, "scale", "deployment/lxcfs-webhook", "--replicas=0"]);
    await eventually(async () =>
      assert.equal(await world.field(NAMESPACE, "endpoints/lxcfs-webhook", ".subsets"), ""),
    );
    await world.create(APPS, world.pod("without-webhook"));
    await world.ready(APPS, "without-webhook");
    await world.sees(APPS, "without-webhook", MEMORY_KB);
    assert.doesNotMatch(await world.field(APPS, "pod/without-webhook", ".spec.volumes"), /lxcfs/);
  });

  it("detaches first when it is uninstalled: no read fails, the pods run on", async () => {
    const before = await counts(world);
    await cluster.kubectl(["delete", "--wait=false", "-f", "-"], world.manifests);
    await eventually(async () => {
      assert.equal((await world.field(NAMESPACE, "pods", ".items[*].status.phase")).trim(), "");
    }, 90);
    await eventually(async () => assert.ok((await world.total(APPS, "reader-0")) > MEMORY_KB), 20);
    assert.ok((await world.total(RESTRICTED, "app")) > MEMORY_KB);
    for (const [at, { reads, failed, last }] of (await counts(world)).entries()) {
      assert.equal(failed, 0, `reader-${at}: ${last}`);
      assert.ok(reads > (before[at]?.reads ?? 0));
    }
  });

  it("leaves nothing behind, in the cluster and on the node", async () => {
    await eventually(async () => {
      const label = "app.kubernetes.io/name=lxcfs-ts,app.kubernetes.io/instance=lxcfs";
      const found = await world.list(NAMESPACE, KINDS, "-l", label, "-o", "name");
      assert.deepEqual(found, []);
    }, 30);
    if (!cluster.node) return;
    assert.equal(await cluster.onNode("grep fuse.lxcfs /proc/mounts"), "");
    const pods = `/proc/[0-9]*/mountinfo`;
    assert.equal(await cluster.onNode(`cat ${pods} 2>/dev/null | grep fuse.lxcfs`), "");
    assert.equal(
      await cluster.onNode("ls -A /run/lxcfs-ts /var/lib/lxcfs-ts | grep -v :$ | grep ."),
      "",
    );
    const ours = "[h]older.sh|[l]xcfs serve|[n]ode-agent";
    assert.equal(await cluster.onNode(`pgrep -f '${ours}'`), "");
    assert.equal(await cluster.onNode(`ls -d /sys/fs/cgroup/*/${SERVER_CGROUP} 2>/dev/null`), "");
  });
}
