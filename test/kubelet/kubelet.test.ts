/**
 * The chart's agent on a node whose kubelet uses the systemd cgroup driver: kubelet, containerd and
 * runc are real and place their pods themselves, in slices and scopes of the guest's systemd. Only
 * the API server is a stand-in.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limitsAreV1, MACHINE } from "../guest/guest.ts";
import { assertSees, LOOK, memoryKb, parseView, type View } from "../guest/view.ts";
import { API_PORT, serveApi, type Api } from "./api.ts";
import { ask, Node, run, sleeper, whyNoNode, type NodeContainer } from "./node.ts";

const ACCOUNT = "/run/lxcfs-kubelet/account";
const HEALTH_PORT = 9757;
const RUN_DIR = "/run/lxcfs-ts";
const UPTIME_SECONDS = 1800;
/** Longer than the agent's own limit for one container. */
const ATTACH_MS = 60_000;
const MIB = 1024 * 1024;

/** A pod's uid, by its number. */
function uid(at: number): string {
  return `0d4c1c3a-3d6a-4c1e-9b57-00000000000${at}`;
}

function limits(memory: string, cpu: string): object {
  return { memory, cpu };
}

const GUARANTEED = { limits: limits("128Mi", "1"), requests: limits("128Mi", "1") };
const BURSTABLE = { limits: limits("96Mi", "2"), requests: limits("16Mi", "10m") };

describe("the agent where kubelet uses the systemd cgroup driver", { skip: whyNoNode() }, () => {
  let node: Node;
  let api: Api;
  before(async () => {
    api = serveApi(ACCOUNT);
    node = await Node.start();
    node.addAgent(ACCOUNT, API_PORT);
    // There before the agent listens, as after a restart of its.
    node.add("guaranteed", uid(1), { containers: [sleeper(GUARANTEED)] });
    await node.eventually("the agent is ready", () => ready(), 40_000);
    node.add("burstable", uid(2), { containers: [sleeper(BURSTABLE)] });
    node.add("besteffort", uid(3), { containers: [sleeper({})] });
    node.add("pair", uid(4), {
      containers: [sleeper(BURSTABLE), sleeper(GUARANTEED, "side")],
    });
    const annotations = { "lxcfs.io/boundary": "pod" };
    const both = { containers: [sleeper(BURSTABLE), sleeper(GUARANTEED, "side")] };
    node.add("whole", uid(5), both, { annotations });
  });
  after(() => {
    node?.stop();
    api?.close();
  });

  /** What a container shows, as soon as `holds`. */
  async function seen(container: NodeContainer, holds: (view: View) => boolean): Promise<View> {
    const look = async () => {
      const view = parseView(await node.exec(container, ["sh", "-c", LOOK]));
      if (!holds(view)) throw new Error(`MemTotal is ${memoryKb(view, "MemTotal")}`);
      return view;
    };
    return await node.eventually("the container sees its own", look, ATTACH_MS);
  }

  async function sees(pod: string, memoryMib: number, cpus: number, name = "app"): Promise<void> {
    const container = await node.container(pod, name);
    const view = await seen(container, (each) => memoryKb(each, "MemTotal") === memoryMib * 1024);
    assertSees(view, { memoryMib, cpus, uptimeSeconds: UPTIME_SECONDS });
  }

  test("pods lie in slices of systemd, their containers in scopes", async () => {
    for (const [pod, quality, at] of [
      ["guaranteed", "", 1],
      ["burstable", "burstable", 2],
      ["besteffort", "besteffort", 3],
    ] as const) {
      const container = await node.container(pod);
      assert.equal(container.qosClass.toLowerCase(), pod);
      const scope = `cri-containerd-${container.id}.scope`;
      const cgroup = readFileSync(`/proc/${await node.pidOf(container)}/cgroup`, "utf8");
      const level = quality === "" ? "" : `/kubepods-${quality}.slice`;
      const slice = sliceOf(quality, at);
      assert.ok(cgroup.includes(`/kubepods.slice${level}/${slice}/${scope}`), cgroup);
      assert.equal(await run(["systemctl", "is-active", scope]), "active\n");
    }
  });

  test("a guaranteed pod sees its limits", () => sees("guaranteed", 128, 1));

  test("a burstable pod sees its limits", () => sees("burstable", 96, 2));

  test("a pod of best effort sees the node's memory, and its own age", async () => {
    const container = await node.container("besteffort");
    const age = (view: View) => Number(view.get("/proc/uptime")?.split(" ")[0]);
    const hostAge = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    const view = await seen(container, (each) => age(each) < hostAge - 60);
    // kubelet keeps all pods together to what the node can allot: that is the tightest here.
    const kubepods = limitOf("kubepods.slice");
    assert.equal(memoryKb(view, "MemTotal"), Math.floor(kubepods / 1024));
    assert.equal(view.get("/sys/devices/system/cpu/online"), `0-${MACHINE.cpus - 1}\n`);
  });

  test("each container of a pod sees its own", async () => {
    await sees("pair", 96, 2);
    await sees("pair", 128, 1, "side");
  });

  test("each container of a pod that asks for it sees the pod's", async () => {
    await sees("whole", 96 + 128, 3);
    await sees("whole", 96 + 128, 3, "side");
  });

  test("pressure files are the container's own", async () => {
    const text = await node.exec(await node.container("burstable"), [
      "cat",
      "/proc/pressure/memory",
    ]);
    assert.match(text, /^some avg10=/);
  });

  test("a resize is followed, and a limit of the pod below the container's", async () => {
    const container = await node.container("burstable");
    const bytes = (mebibytes: number) => String(mebibytes * MIB);
    await node.update(container, "--memory", bytes(64), "--memory-swap", bytes(64));
    await node.update(container, "--cpu-period", "100000", "--cpu-quota", "100000");
    await sees("burstable", 64, 1);
    await limitPod("burstable", 2, 48);
    await sees("burstable", 48, 1);
    await node.update(container, "--memory", bytes(80), "--memory-swap", bytes(80));
    await sees("burstable", 48, 1);
    await limitPod("burstable", 2, 90);
    await sees("burstable", 80, 1);
  });

  test("no read fails while the agent's pod is ended and started again", async () => {
    const reader = await node.container("guaranteed");
    const agent = await node.container("lxcfs-agent", "agent");
    const server = await serverPid();
    let failed = 0;
    let reads = 0;
    let until = Infinity;
    const reading = (async () => {
      while (performance.now() < until) {
        const loop = "for i in 1 2 3 4 5 6 7 8 9 10; do cat /proc/meminfo || echo failed; done";
        const text = await node.exec(reader, ["sh", "-c", loop]);
        reads += text.match(/^MemTotal: +131072 kB$/gm)?.length ?? 0;
        failed += 10 - (text.match(/^MemTotal: +131072 kB$/gm)?.length ?? 0);
      }
    })();
    process.kill(await node.pidOf(agent), "SIGKILL");
    await node.eventually("another agent runs", async () => {
      assert.notEqual((await node.container("lxcfs-agent", "agent")).id, agent.id);
      await ready();
    });
    until = performance.now();
    await reading;
    assert.equal(failed, 0, `of ${reads + failed} reads`);
    assert.ok(reads > 0);
    assert.equal(await serverPid(), server);
  });

  test("uninstalled, it leaves nothing behind", async () => {
    api.uninstalled = true;
    node.remove("lxcfs-agent");
    const container = await node.container("guaranteed");
    await seen(container, (view) => memoryKb(view, "MemTotal") > MACHINE.memoryMib * 512);
    await node.eventually("nothing is left", async () => {
      assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), /fuse\.lxcfs/);
      assert.equal(await run(["ls", "-A", RUN_DIR, "/var/lib/lxcfs-ts"]), EMPTY);
      const cgroup = limitsAreV1 ? "/sys/fs/cgroup/memory/lxcfs-ts" : "/sys/fs/cgroup/lxcfs-ts";
      assert.ok(!existsSync(cgroup), cgroup);
    });
  });

  async function limitPod(quality: string, at: number, mebibytes: number): Promise<void> {
    const property = `${limitsAreV1 ? "MemoryLimit" : "MemoryMax"}=${mebibytes}M`;
    await run(["systemctl", "set-property", "--runtime", sliceOf(quality, at), property]);
    await sleep(0);
  }
});

/** What `ls` says of two empty directories. */
const EMPTY = `${RUN_DIR}:\n\n/var/lib/lxcfs-ts:\n`;

function sliceOf(quality: string, at: number): string {
  return `kubepods-${quality && `${quality}-`}pod${uid(at).replaceAll("-", "_")}.slice`;
}

/** A slice's memory limit in bytes. */
function limitOf(slice: string): number {
  const file = limitsAreV1
    ? `/sys/fs/cgroup/memory/${slice}/memory.limit_in_bytes`
    : `/sys/fs/cgroup/${slice}/memory.max`;
  return Number(readFileSync(file, "utf8"));
}

/** @throws unless the agent says that it can work */
async function ready(): Promise<void> {
  await ask(HEALTH_PORT, "/readyz");
}

/** The server of the node, as it tells itself. */
async function serverPid(): Promise<string> {
  return (await run(["pgrep", "-f", "[l]xcfs serve"])).trim();
}
