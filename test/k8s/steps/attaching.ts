/** What no admission may or can touch: the agent attaches when the container starts. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { it } from "node:test";
import { eventually } from "../cluster.ts";
import { APPS, MEMORY_KB, RESTRICTED, type World } from "../world.ts";
import { needsNode } from "./installation.ts";

export function attaching(world: World): void {
  const { cluster } = world;

  it("attaches in namespaces that refuse hostPath volumes, pressure files included", async () => {
    const securityContext = { runAsNonRoot: true, runAsUser: 1000 };
    await world.create(RESTRICTED, world.pod("app", {}, { securityContext }));
    await world.ready(RESTRICTED, "app");
    await world.sees(RESTRICTED, "app", MEMORY_KB);
    const text = await cluster.kubectl(["-n", RESTRICTED, "get", "pod", "app", "-o", "json"]);
    assert.doesNotMatch(text, /hostPath/);
    const pressure = await world.see(RESTRICTED, "app", "cat /proc/pressure/memory");
    assert.match(pressure, /^some avg10=/);
    assert.equal((await world.see(RESTRICTED, "app", "nproc --all; id -u")).split("\n")[1], "1000");
  });

  it("attaches to static pods, which no admission sees", { skip: needsNode(world) }, async () => {
    const pod = world.pod("static", { namespace: APPS });
    const { dir, staticPods } = cluster.node ?? {};
    writeFileSync(`${dir}/static.json`, JSON.stringify(pod));
    // Whole from the first moment that kubelet sees it.
    renameSync(`${dir}/static.json`, `${staticPods}/static.json`);
    const node = (await world.list(APPS, "nodes", "-o", "name"))[0]?.replace("node/", "");
    const mirror = `static-${node}`;
    await eventually(() => world.ready(APPS, mirror), 60);
    await world.sees(APPS, mirror, MEMORY_KB);
    const spec = await world.field(APPS, `pod/${mirror}`, ".spec.volumes");
    assert.doesNotMatch(spec, /lxcfs/);
    // The plugin finds it, too, though its cgroup goes by another uid than its mirror.
    const said = await world.pluginSays("doctor", "-n", APPS, mirror);
    assert.match(said, /^ok +container [0-9a-f]{12}: .*memory 192M/m);
    rmSync(`${staticPods}/static.json`);
  });

  it(
    "attaches to an image with nothing in it but the program",
    { skip: needsNode(world) },
    async () => {
      await bareImage(world, "bare:e2e");
      const bare = world.container("app", { image: "bare:e2e" });
      await world.create(
        RESTRICTED,
        world.pod("bare", {}, { containers: [{ ...bare, command: ["/server"] }] }),
      );
      await world.ready(RESTRICTED, "bare");
      await eventually(async () => {
        assert.equal(await fromOutside(world, RESTRICTED, "bare"), MEMORY_KB);
      }, 15);
    },
  );
}

/** An image whose one file is a static program that waits. */
async function bareImage(world: World, name: string): Promise<void> {
  const { node } = world.cluster;
  const root = `${node?.dir}/bare-root`;
  mkdirSync(root, { recursive: true });
  for (const directory of ["proc", "sys", "dev", "etc"])
    mkdirSync(`${root}/${directory}`, { recursive: true });
  copyFileSync(`${node?.dir}/pause`, `${root}/server`);
  await world.cluster.imageOf(name, root);
}

/** MemTotal in kB as a container without a shell would read it: its own file, opened from the node. */
export async function fromOutside(world: World, namespace: string, pod: string): Promise<number> {
  const { ofContainer } = await world.cgroupsOf(namespace, pod);
  const text = await world.cluster.onNode(
    `cat /proc/$(head -1 /sys/fs/cgroup/memory${ofContainer}/cgroup.procs)/root/proc/meminfo`,
  );
  return Number(/^MemTotal: +(\d+) kB/m.exec(text)?.[1]);
}
