/**
 * The whole on a real cluster: installed from the chart, used, updated, broken, uninstalled. The
 * steps build on each other, in this order.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { manifests, ROOT } from "./chart.ts";
import { Cluster, eventually } from "./cluster.ts";

const NAMESPACE = "lxcfs";
const CGROUP = "lxcfs-k8s-e2e-server";
const APPS = "lxcfs-e2e-apps";
const PLAIN = "lxcfs-e2e-plain";
const RESTRICTED = "lxcfs-e2e-restricted";
const READERS = 5;

const MEMORY_KB = 192 * 1024;

const started = Cluster.start();
const cluster = typeof started === "string" ? undefined : started;
const skip = typeof started === "string" ? started : false;

function pod(name: string, extra: object = {}, spec: object = {}): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ...extra },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [container("app")],
      ...spec,
    },
  });
}

function container(name: string, memory = "192Mi", command = "exec sleep 1000000"): object {
  return {
    name,
    image: "debian-procps:lab",
    imagePullPolicy: "IfNotPresent",
    command: ["sh", "-c", command],
    resources: { limits: { memory, cpu: "1" }, requests: { memory: "16Mi", cpu: "10m" } },
  };
}

/** A pod that reads all the time and counts what was not as it has to be. */
const READER = `
n=0 bad=0
while :; do
  if out=$(cat /proc/meminfo /proc/uptime 2>&1) && case $out in *"MemTotal:         ${MEMORY_KB} kB"*) true ;; *) false ;; esac
  then n=$((n+1)); else bad=$((bad+1)); echo "$out" | head -3 >>/tmp/bad; fi
  echo "$n $bad" >/tmp/counts
  sleep 0.04
done`;

describe("on a real cluster", { skip, concurrency: false }, () => {
  if (!cluster) return;
  const total = (namespace: string, name: string, c = "app") =>
    cluster
      .exec(namespace, name, c, "free -k")
      .then((text) => Number(/^Mem:\s+(\d+)/m.exec(text)?.[1]));
  const ready = (namespace: string, ...pods: string[]) =>
    cluster.kubectl([
      "-n",
      namespace,
      "wait",
      "--for=condition=Ready",
      "--timeout=90s",
      ...pods.map((p) => `pod/${p}`),
    ]);
  const create = (namespace: string, text: string) =>
    cluster.kubectl(["-n", namespace, "create", "-f", "-"], text);
  const install = async (values: { tag?: string; webhookArgs?: string[] } = {}) => {
    const version = JSON.parse(await cluster.kubectl(["get", "--raw", "/version"])) as {
      gitVersion: string;
    };
    const [repository = "", tag = ""] = cluster.image.split(/:(?=[^:/]*$)/);
    const text = manifests({
      namespace: NAMESPACE,
      kubeVersion: version.gitVersion,
      values: {
        image: { repository, tag: values.tag ?? tag },
        agent: { extraArgs: [`--cgroup=${CGROUP}`] },
        webhook: {
          extraArgs: ["--tick-seconds=1", "--drain-seconds=3", ...(values.webhookArgs ?? [])],
        },
      },
    });
    await cluster.kubectl(["apply", "-f", "-"], text);
    return text;
  };
  const agentRolledOut = () =>
    cluster.kubectl([
      "-n",
      NAMESPACE,
      "rollout",
      "status",
      "daemonset/lxcfs-agent",
      "--timeout=120s",
    ]);
  const plugin = (...args: string[]) =>
    cluster.run(new URL("bin/kubectl-lxcfs", ROOT).pathname, args, {
      env: { KUBECTL: cluster.kubectlPath },
    });
  const counts = async () => {
    const all: { reads: number; bad: number }[] = [];
    for (let at = 0; at < READERS; at++) {
      const [reads = 0, bad = 0] = (
        await cluster.exec(APPS, `reader-${at}`, "app", "cat /tmp/counts")
      )
        .split(" ")
        .map(Number);
      all.push({ reads, bad });
    }
    return all;
  };
  /** Runs `disturb` while the readers read; none may have read anything wrong. */
  const undisturbed = async (disturb: () => Promise<unknown>, settleMs = 2000) => {
    const before_ = await counts();
    const startMs = performance.now();
    await disturb();
    await sleep(settleMs);
    const after_ = await counts();
    const reads = after_.reduce((sum, c, at) => sum + c.reads - (before_[at]?.reads ?? 0), 0);
    const perSecond = Math.round((reads * 1000) / (performance.now() - startMs));
    for (const [at, { bad }] of after_.entries())
      if (bad > 0)
        assert.fail(
          `reader-${at}: ${bad} bad reads: ${await cluster.exec(APPS, `reader-${at}`, "app", "cat /tmp/bad")}`,
        );
    assert.ok(reads > 50, `${reads} reads`);
    return { reads, perSecond };
  };

  before(async () => {
    for (const image of ["debian-procps", "busybox"]) await cluster.labImage(image);
    await cluster.makeImage(cluster.image);
    await cluster.kubectl(["create", "namespace", NAMESPACE]);
    for (const [name, ...labels] of [
      [APPS, "lxcfs.io/inject=enabled"],
      [PLAIN],
      [RESTRICTED, "lxcfs.io/inject=enabled", "pod-security.kubernetes.io/enforce=restricted"],
    ] as [string, ...string[]][]) {
      await cluster.kubectl(["create", "namespace", name]);
      for (const label of labels) await cluster.kubectl(["label", "namespace", name, label]);
    }
  });
  after(async () => {
    for (const name of [APPS, PLAIN, RESTRICTED, NAMESPACE])
      await cluster.run(cluster.kubectlPath, [
        "delete",
        "namespace",
        name,
        "--wait=false",
        "--ignore-not-found",
      ]);
    cluster.stop();
  });

  it("installs from the chart", async () => {
    await install();
    await agentRolledOut();
    await cluster.kubectl([
      "-n",
      NAMESPACE,
      "rollout",
      "status",
      "deployment/lxcfs-webhook",
      "--timeout=120s",
    ]);
    const { stdout, code, stderr } = await plugin("status");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /agent lxcfs\/lxcfs-agent-\w+, ready/);
  });

  it("a Deployment's pod sees its limits, its init container and its sidecar theirs", async () => {
    const init = container("init", "100Mi", "free -k");
    await create(
      APPS,
      pod(
        "app",
        {},
        {
          initContainers: [init],
          containers: [container("app"), container("side", "64Mi")],
        },
      ),
    );
    await ready(APPS, "app");
    assert.equal(await total(APPS, "app"), MEMORY_KB);
    assert.equal(await total(APPS, "app", "side"), 64 * 1024);
    assert.match(
      await cluster.kubectl(["-n", APPS, "logs", "app", "-c", "init"]),
      /^Mem: +102400 /m,
    );
    const see = (command: string) => cluster.exec(APPS, "app", "app", command);
    assert.equal((await see("grep -c ^processor /proc/cpuinfo")).trim(), "1");
    assert.equal((await see("grep -c ^cpu[0-9] /proc/stat")).trim(), "1");
    assert.equal((await see("cat /sys/devices/system/cpu/online")).trim(), "0");
    assert.match(await see("top -bn1 | head -5"), /MiB Mem : +192\.0 total/);
    assert.match(await see("uptime"), /up 0 min/);
    const uptime = Number((await see("cat /proc/uptime")).split(" ")[0]);
    assert.ok(uptime < 120, `up ${uptime} s`);
  });

  it("the API server took the webhook's patch as it was meant", async () => {
    const text = await cluster.kubectl(["-n", APPS, "get", "pod", "app", "-o", "json"]);
    const made = JSON.parse(text) as {
      metadata: { annotations: Record<string, string> };
      spec: { volumes: { name: string }[] };
    };
    assert.equal(made.metadata.annotations["lxcfs.io/status"], "injected");
    assert.equal(made.spec.volumes.filter(({ name }) => name.startsWith("lxcfs-")).length, 8);
  });

  it("leaves out who opts out, and namespaces that did not opt in", async () => {
    await create(APPS, pod("out", { labels: { "lxcfs.io/inject": "disabled" } }));
    await create(PLAIN, pod("plain"));
    await ready(APPS, "out");
    await ready(PLAIN, "plain");
    await sleep(1000);
    assert.ok((await total(APPS, "out")) > MEMORY_KB);
    assert.ok((await total(PLAIN, "plain")) > MEMORY_KB);
  });

  it("attaches in namespaces that refuse hostPath volumes, pressure files included", async () => {
    const secure = {
      securityContext: { runAsNonRoot: true, runAsUser: 1000 },
      containers: [container("app")],
    };
    await create(RESTRICTED, pod("app", {}, secure));
    await ready(RESTRICTED, "app");
    await eventually(async () => assert.equal(await total(RESTRICTED, "app"), MEMORY_KB), 15);
    const text = await cluster.kubectl(["-n", RESTRICTED, "get", "pod", "app", "-o", "json"]);
    assert.doesNotMatch(text, /hostPath/);
    assert.match(
      await cluster.exec(RESTRICTED, "app", "app", "cat /proc/pressure/memory"),
      /^some avg10=/,
    );
  });

  it("repairs a running pod on demand, also one that shares its pids, and undoes it", async () => {
    await create(
      PLAIN,
      pod(
        "shared",
        {},
        {
          shareProcessNamespace: true,
          containers: [container("app"), container("side", "64Mi")],
        },
      ),
    );
    await ready(PLAIN, "shared");
    assert.ok((await total(PLAIN, "shared")) > MEMORY_KB);
    const attach = await plugin("attach", "-n", PLAIN, "shared");
    assert.equal(attach.code, 0, attach.stderr);
    assert.equal(await total(PLAIN, "shared"), MEMORY_KB);
    assert.equal(await total(PLAIN, "shared", "side"), 64 * 1024);
    const show = await plugin("show", "meminfo", "shared", "-n", PLAIN, "-c", "side");
    assert.match(show.stdout, /^MemTotal: +65536 kB/, show.stderr);
    const detach = await plugin("detach", "-n", PLAIN, "shared", "-c", "app");
    assert.equal(detach.code, 0, detach.stderr);
    assert.ok((await total(PLAIN, "shared")) > MEMORY_KB);
    assert.equal(await total(PLAIN, "shared", "side"), 64 * 1024);
    assert.equal((await plugin("attach", "-n", PLAIN, "nobody")).code, 3);
  });

  it("shows as many CPUs as the pod's own policy says", async () => {
    const annotations = { "lxcfs.io/cpu-policy": "none" };
    await create(APPS, pod("all-cpus", { annotations }));
    await ready(APPS, "all-cpus");
    const count = (name: string) =>
      cluster.exec(APPS, name, "app", "grep -c ^processor /proc/cpuinfo");
    const host = await count("out");
    await eventually(async () => assert.equal(await count("all-cpus"), host), 15);
  });

  it(
    "follows a limit that changes",
    { skip: cluster.node ? false : "needs the node" },
    async () => {
      const uid = (
        await cluster.kubectl(["-n", APPS, "get", "pod", "app", "-o", "jsonpath={.metadata.uid}"])
      ).trim();
      const id = (
        await cluster.kubectl([
          "-n",
          APPS,
          "get",
          "pod",
          "app",
          "-o",
          "jsonpath={.status.containerStatuses[?(@.name=='app')].containerID}",
        ])
      ).replace("containerd://", "");
      const file = `/sys/fs/cgroup/memory/lxcfs-k8s-e2e-lab/kubepods/burstable/pod${uid}/${id}/memory.limit_in_bytes`;
      await cluster.onNode(`echo ${128 << 20} >${file}`);
      assert.equal(await total(APPS, "app"), 128 * 1024);
    },
  );

  it("has readers at 100 reads/s in five pods", async () => {
    for (let at = 0; at < READERS; at++)
      await create(
        APPS,
        pod(`reader-${at}`, {}, { containers: [container("app", "192Mi", READER)] }),
      );
    await ready(APPS, ...Array.from({ length: READERS }, (_, at) => `reader-${at}`));
    await eventually(async () => assert.ok((await counts()).every(({ reads }) => reads > 20)));
  });

  it("loses no read when the agent's pod is deleted", async (t) => {
    const figures = await undisturbed(async () => {
      await cluster.kubectl([
        "-n",
        NAMESPACE,
        "delete",
        "pod",
        "-l",
        "app.kubernetes.io/component=agent",
        "--wait=false",
      ]);
      await sleep(1000);
      await agentRolledOut();
    });
    t.diagnostic(JSON.stringify(figures));
  });

  it(
    "loses no read when the server is killed, nor the agent with it",
    { skip: cluster.node ? false : "needs the node" },
    async (t) => {
      const figures = await undisturbed(async () => {
        for (let round = 0; round < 3; round++) {
          await cluster.onNode("kill -9 $(pgrep -f '[l]xcfs serve' | head -1)");
          await sleep(1500);
        }
        await cluster.onNode("kill -9 $(pgrep -f '[n]ode-agent --run-dir' | head -1)");
        await sleep(3000);
        await agentRolledOut();
      });
      t.diagnostic(JSON.stringify(figures));
    },
  );

  it(
    "loses no read when the DaemonSet is updated to another version",
    { skip: cluster.node ? false : "needs images to choose from" },
    async (t) => {
      await cluster.makeImage("lxcfs-ts:e2e-next");
      const before_ = (await plugin("status")).stdout;
      const figures = await undisturbed(async () => {
        await install({ tag: "e2e-next" });
        await agentRolledOut();
        await eventually(async () =>
          assert.match((await plugin("status")).stdout, /upgrades +[1-9]/),
        );
      });
      assert.match(before_, /upgrades +0/);
      t.diagnostic(JSON.stringify(figures));
    },
  );

  it(
    "heals every pod when holder and server are both killed",
    { skip: cluster.node ? false : "needs the node" },
    async () => {
      await cluster.onNode(
        "kill -9 $(pgrep -f '[h]older.sh' | head -1) $(pgrep -f '[l]xcfs serve' | head -1)",
      );
      await eventually(async () => {
        assert.equal(await total(APPS, "app"), 128 * 1024);
        assert.equal(await total(RESTRICTED, "app"), MEMORY_KB);
      }, 30);
      const restarted = container("app", "192Mi", "free -k; exec sleep 1000000");
      await create(APPS, pod("after", {}, { containers: [restarted] }));
      await ready(APPS, "after");
      assert.equal(await total(APPS, "after"), MEMORY_KB);
    },
  );

  it("rejects and misses no pod while certificates and CA are replaced", async (t) => {
    const day = 86_400;
    await install({
      webhookArgs: [`--ca-days=${45 / day}`, `--serving-days=${20 / day}`, "--settle-seconds=4"],
      ...(cluster.node ? { tag: "e2e-next" } : {}),
    });
    await cluster.kubectl([
      "-n",
      NAMESPACE,
      "rollout",
      "status",
      "deployment/lxcfs-webhook",
      "--timeout=120s",
    ]);
    const secret = () =>
      cluster.kubectl([
        "-n",
        NAMESPACE,
        "get",
        "secret",
        "lxcfs-webhook-tls",
        "-o",
        "jsonpath={.data.ca\\.crt}",
      ]);
    // What was made with long lives goes first: then everything is replaced again and again.
    await cluster.kubectl([
      "-n",
      NAMESPACE,
      "patch",
      "secret",
      "lxcfs-webhook-tls",
      "--type=json",
      "-p",
      '[{"op":"remove","path":"/data"}]',
    ]);
    await sleep(8000);
    const cas = new Set<string>();
    const untilMs = performance.now() + 60_000;
    let pods = 0;
    while (performance.now() < untilMs) {
      const made = await cluster.kubectl(
        ["-n", APPS, "create", "--dry-run=server", "-o", "name", "-o", "json", "-f", "-"],
        pod("probe"),
      );
      assert.match(made, /"lxcfs-meminfo"/, `pod ${pods} was not injected`);
      pods++;
      cas.add(await secret());
      await sleep(100);
    }
    t.diagnostic(`${pods} pods, ${cas.size} CAs`);
    assert.ok(cas.size >= 2, `${cas.size} CAs`);
  });

  it("lets pods start while the webhook is down, and attaches to them", async () => {
    await cluster.kubectl(["-n", NAMESPACE, "scale", "deployment/lxcfs-webhook", "--replicas=0"]);
    await eventually(async () => {
      const left = await cluster.kubectl([
        "-n",
        NAMESPACE,
        "get",
        "endpoints",
        "lxcfs-webhook",
        "-o",
        "jsonpath={.subsets}",
      ]);
      assert.equal(left, "");
    });
    await create(APPS, pod("without-webhook"));
    await ready(APPS, "without-webhook");
    await eventually(async () => assert.equal(await total(APPS, "without-webhook"), MEMORY_KB), 15);
  });

  it("leaves nothing behind when it is uninstalled, and the pods run on", async () => {
    const text = await install(cluster.node ? { tag: "e2e-next" } : {});
    await agentRolledOut();
    await cluster.kubectl(["delete", "--wait=false", "-f", "-"], text);
    await eventually(async () => {
      const left = await cluster.kubectl([
        "-n",
        NAMESPACE,
        "get",
        "pods",
        "-o",
        "jsonpath={.items[*].status.phase}",
      ]);
      assert.equal(left.trim(), "");
    }, 90);
    await eventually(async () => assert.ok((await total(APPS, "reader-0")) > MEMORY_KB), 20);
    assert.ok((await total(RESTRICTED, "app")) > MEMORY_KB);
    if (!cluster.node) return;
    assert.equal(await cluster.onNode("grep fuse.lxcfs /proc/mounts"), "");
    assert.equal(
      await cluster.onNode("ls -A /run/lxcfs-ts /var/lib/lxcfs-ts | grep -v :$ | grep ."),
      "",
    );
    assert.equal(await cluster.onNode("pgrep -f '[h]older.sh|[l]xcfs serve'"), "");
    assert.equal(await cluster.onNode(`ls -d /sys/fs/cgroup/*/${CGROUP} 2>/dev/null`), "");
  });
});
