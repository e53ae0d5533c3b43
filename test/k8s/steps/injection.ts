/** New pods in a namespace that has opted in: each container sees its own machine. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { eventually } from "../cluster.ts";
import { aMoment, APPS, MEMORY_KB, NAMESPACE, PLAIN, type World } from "../world.ts";
import { needsNode } from "./installation.ts";

const CPUS = "grep -c ^processor /proc/cpuinfo";
const RUNTIME_CLASS = "kata-e2e";

interface Made {
  metadata: { annotations: Record<string, string> };
  spec: { volumes: { name: string }[] };
}

export function injection(world: World): void {
  const { cluster } = world;
  const { container, pod } = {
    container: world.container.bind(world),
    pod: world.pod.bind(world),
  };
  const pods = [
    pod(
      "app",
      {},
      {
        initContainers: [container("init", { memory: "100Mi", command: "free -k" })],
        containers: [container("app"), container("side", { memory: "64Mi" })],
      },
    ),
    pod(
      "shared",
      {},
      {
        shareProcessNamespace: true,
        containers: [container("app"), container("side", { memory: "64Mi" })],
      },
    ),
    pod(
      "guaranteed",
      {},
      { containers: [container("app", { resources: quantity("96Mi", "100m") })] },
    ),
    pod("best-effort", {}, { containers: [container("app", { resources: {} })] }),
    pod("few", { annotations: { "lxcfs.io/files": "meminfo,uptime" } }),
    pod(
      "part",
      { annotations: { "lxcfs.io/exclude-containers": "side" } },
      { containers: [container("app"), container("side")] },
    ),
    pod("all-cpus", { annotations: { "lxcfs.io/cpu-policy": "none" } }),
    pod("one-cpu", { annotations: { "lxcfs.io/cpu-policy": "request" } }, two(container)),
    pod(
      "whole",
      { annotations: { "lxcfs.io/boundary": "pod" } },
      { containers: [container("app"), container("side", { memory: "64Mi" })] },
    ),
    pod("own-uptime", {}, mounted(container)),
    pod("out", { labels: { "lxcfs.io/inject": "disabled" } }),
    pod("out-older", { annotations: { "lxcfs-admission-webhook.aliyun.com/mutate": "no" } }),
    pod("host-pid", {}, { hostPID: true }),
  ];

  it("starts pods of every kind in a namespace that has opted in", async () => {
    await world.create(
      APPS,
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "own" },
        data: { uptime: "1.5 1\n" },
      },
      ...pods,
      deployment(pod("web") as { spec: object }),
    );
    await world.create(PLAIN, pod("plain"), pod("opted", labels("enabled")));
    await world.ready(
      APPS,
      ...pods.map((p) => (p as { metadata: { name: string } }).metadata.name),
    );
    await world.ready(PLAIN, "plain", "opted");
    await world.rolledOut("deployment/web", APPS);
  });

  it("a Deployment's pod sees its limits, its init container and its sidecar theirs", async () => {
    const web = (await world.list(APPS, "pods", "-l", "app=web", "-o", "name"))[0] ?? "";
    assert.equal(await world.total(APPS, web.replace("pod/", "")), MEMORY_KB);
    assert.equal(await world.total(APPS, "app"), MEMORY_KB);
    assert.equal(await world.total(APPS, "app", "side"), 64 * 1024);
    assert.match(
      await cluster.kubectl(["-n", APPS, "logs", "app", "-c", "init"]),
      /^Mem: +102400 /m,
    );
    assert.equal((await world.see(APPS, "app", CPUS)).trim(), "1");
    assert.equal((await world.see(APPS, "app", "grep -c ^cpu[0-9] /proc/stat")).trim(), "1");
    assert.equal((await world.see(APPS, "app", "cat /sys/devices/system/cpu/online")).trim(), "0");
    assert.match(await world.see(APPS, "app", "top -bn1 | head -5"), /MiB Mem : +192\.0 total/);
    assert.match(await world.see(APPS, "app", "uptime"), /up [0-2] min/);
    const uptime = Number((await world.see(APPS, "app", "cat /proc/uptime")).split(" ")[0]);
    assert.ok(uptime < 120, `up ${uptime} s`);
  });

  it("containers that share their pids see their own limits, not those of the first", async () => {
    await world.sees(APPS, "shared", MEMORY_KB);
    await world.sees(APPS, "shared", 64 * 1024, "side");
  });

  it("every QoS class sees its own: guaranteed, burstable, and best effort the node's", async () => {
    assert.equal(await world.total(APPS, "guaranteed"), 96 * 1024);
    assert.equal((await world.see(APPS, "guaranteed", CPUS)).trim(), "1");
    const node = await world.total(PLAIN, "plain");
    assert.ok(node > 2 * MEMORY_KB, `${node} kB`);
    assert.equal(await world.total(APPS, "best-effort"), node);
    const uptime = Number((await world.see(APPS, "best-effort", "cat /proc/uptime")).split(" ")[0]);
    assert.ok(uptime < 120, `up ${uptime} s`);
  });

  it("the API server took the webhook's patch as it was meant", async () => {
    const text = await cluster.kubectl(["-n", APPS, "get", "pod", "app", "-o", "json"]);
    const made = JSON.parse(text) as Made;
    assert.equal(made.metadata.annotations["lxcfs.io/status"], "injected");
    assert.equal(made.spec.volumes.filter(({ name }) => name.startsWith("lxcfs-")).length, 8);
  });

  it("a pod chooses its files, containers and CPU policy, and keeps its own mounts", async () => {
    const node = (await world.see(PLAIN, "plain", CPUS)).trim();
    assert.equal(await world.total(APPS, "few"), MEMORY_KB);
    assert.equal((await world.see(APPS, "few", CPUS)).trim(), node);
    await aMoment();
    assert.equal(await world.total(APPS, "part"), MEMORY_KB);
    assert.ok((await world.total(APPS, "part", "side")) > MEMORY_KB);
    assert.equal(await world.see(APPS, "own-uptime", "cat /proc/uptime"), "1.5 1\n");
    const path = ".metadata.annotations.lxcfs\\.io/conflicts";
    assert.equal(await world.field(APPS, "pod/own-uptime", path), "app:/proc/uptime");
    await eventually(
      async () => assert.equal((await world.see(APPS, "all-cpus", CPUS)).trim(), node),
      15,
    );
    // Its quota is two CPUs, its request a hundredth of one.
    await eventually(
      async () => assert.equal((await world.see(APPS, "one-cpu", CPUS)).trim(), "1"),
      15,
    );
  });

  it("shows containers their pod's machine, where it asks for that", async () => {
    const kilobytes = MEMORY_KB + 64 * 1024;
    await world.sees(APPS, "whole", kilobytes);
    await world.sees(APPS, "whole", kilobytes, "side");
    assert.equal((await world.see(APPS, "whole", CPUS)).trim(), "2");
    const used = async (container: string) =>
      Number(/^Mem: +\d+ +(\d+)/m.exec(await world.see(APPS, "whole", "free -k", container))?.[1]);
    const [app, side] = await Promise.all([used("app"), used("side")]);
    // One account that both look at, a moment apart.
    assert.ok(Math.abs(app - side) < 8192, `${app} and ${side} kB`);
    const uptime = Number((await world.see(APPS, "whole", "cat /proc/uptime")).split(" ")[0]);
    assert.ok(uptime < 600, `up ${uptime} s`);
  });

  it("leaves out who opts out, who looks at the host, and who did not opt in", async () => {
    for (const name of ["out", "out-older", "host-pid"])
      assert.ok((await world.total(APPS, name)) > MEMORY_KB, name);
    assert.ok((await world.total(PLAIN, "plain")) > MEMORY_KB);
    assert.equal(await world.total(PLAIN, "opted"), MEMORY_KB);
  });

  it("leaves out RuntimeClasses with a kernel of their own, the system, and itself", async () => {
    await world.apply({
      apiVersion: `node.k8s.io/${(await cluster.kubectl(["api-versions"])).includes("node.k8s.io/v1\n") ? "v1" : "v1beta1"}`,
      kind: "RuntimeClass",
      metadata: { name: RUNTIME_CLASS },
      handler: "runc",
    });
    const kata = pod("kata", {}, { runtimeClassName: RUNTIME_CLASS });
    assert.doesNotMatch(await world.dryRun(APPS, kata), /lxcfs-meminfo/);
    for (const namespace of ["kube-system", NAMESPACE])
      assert.doesNotMatch(
        await world.dryRun(namespace, pod("probe", labels("enabled"))),
        /lxcfs-meminfo/,
        namespace,
      );
    if (!cluster.node) return;
    await world.create(APPS, kata);
    await world.ready(APPS, "kata");
    await aMoment();
    assert.ok((await world.total(APPS, "kata")) > MEMORY_KB);
  });

  it("understands the labels of the two older webhooks", async () => {
    for (const [label, value] of [
      ["lxcfs-admission-webhook", "enabled"],
      ["mount-lxcfs", "enabled"],
    ] as const) {
      await cluster.kubectl(["label", "--overwrite", "namespace", PLAIN, `${label}=${value}`]);
      await eventually(
        async () => assert.match(await world.dryRun(PLAIN, pod("probe")), /lxcfs-meminfo/),
        10,
      );
      await cluster.kubectl(["label", "namespace", PLAIN, `${label}-`]);
      await eventually(
        async () => assert.doesNotMatch(await world.dryRun(PLAIN, pod("probe")), /lxcfs-meminfo/),
        10,
      );
    }
  });

  it(
    "follows limits that change, of a container and of its pod",
    { skip: needsNode(world) },
    async () => {
      const { ofContainer, ofPod } = await world.cgroupsOf(APPS, "app");
      const write = (controller: string, path: string, file: string, value: number) =>
        cluster.onNode(`echo ${value} >/sys/fs/cgroup/${controller}${path}/${file}`);
      await write("memory", ofContainer, "memory.limit_in_bytes", 128 << 20);
      assert.equal(await world.total(APPS, "app"), 128 * 1024);
      await write("memory", ofPod, "memory.limit_in_bytes", 100 << 20);
      assert.equal(await world.total(APPS, "app"), 100 * 1024);
      assert.equal(await world.total(APPS, "app", "side"), 64 * 1024);
      await write("memory", ofPod, "memory.limit_in_bytes", 256 << 20);
      assert.equal(await world.total(APPS, "app"), 128 * 1024);
      await write("cpu", ofContainer, "cpu.cfs_quota_us", 200_000);
      assert.equal((await world.see(APPS, "app", CPUS)).trim(), "2");
    },
  );
}

function labels(inject: string): object {
  return { labels: { "lxcfs.io/inject": inject } };
}

function quantity(memory: string, cpu: string): object {
  return { limits: { memory, cpu }, requests: { memory, cpu } };
}

/** A container that may use two CPUs and asks for next to none. */
function two(container: World["container"]): object {
  const resources = { limits: { memory: "192Mi", cpu: "2" }, requests: { cpu: "10m" } };
  return { containers: [container("app", { resources })] };
}

/** A pod that brings a file of its own where one of ours would be. */
function mounted(container: World["container"]): object {
  const volumeMounts = [{ name: "own", mountPath: "/proc/uptime", subPath: "uptime" }];
  return {
    volumes: [{ name: "own", configMap: { name: "own" } }],
    containers: [container("app", { volumeMounts })],
  };
}

function deployment(pod: { spec: object }): object {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: pod.spec },
    },
  };
}
