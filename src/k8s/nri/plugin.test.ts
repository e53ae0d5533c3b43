import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { after, describe, it } from "node:test";
import { NriRuntime } from "../../../test/k8s/nri_runtime.ts";
import { Logger } from "../../sys/log.ts";
import type { NriContainer, PodSandbox } from "./messages.ts";
import { NriPlugin } from "./plugin.ts";

const POD = {
  id: "sandbox1",
  name: "web-0",
  uid: "0d4c1c3a-3d6a-4c1e-9b57-000000000001",
  namespace: "shop",
  labels: { app: "web", "lxcfs.io/inject": "enabled" },
  annotations: { "lxcfs.io/files": "meminfo" },
  runtime_handler: "runc",
  linux: { namespaces: [{ type: "pid" }, { type: "network" }] },
};
const container = (pid: number, state = 1) => ({
  id: `container${pid}`,
  pod_sandbox_id: "sandbox1",
  name: "app",
  state,
  pid,
  args: ["sleep", "1000"],
  env: ["A=b"],
  mounts: [
    { destination: "/proc", type: "proc" },
    { destination: "/data", source: "/x" },
  ],
  linux: { cgroups_path: "/kubepods/burstable/pod1/c1", namespaces: [{ type: "mount" }] },
  created_at: 1_700_000_000_000_000_000n.toString(),
  exit_code: -1,
});

interface Begun {
  pod: PodSandbox;
  container: NriContainer;
}

describe("NRI plugin", () => {
  const dir = mkdtempSync(`${tmpdir()}/lxcfs-nri-`);
  const stops: (() => Promise<void>)[] = [];
  after(async () => {
    for (const stop of stops) await stop();
    rmSync(dir, { recursive: true });
  });
  let sockets = 0;

  async function connected(
    runtime: NriRuntime,
    onContainer: (begun: Begun) => Promise<void> = async () => undefined,
    nowMs: () => number = () => performance.now(),
  ) {
    const socketPath = `${dir}/nri${sockets++}.sock`;
    const begun: Begun[] = [];
    const lines: string[] = [];
    const plugin = new NriPlugin({
      socketPath: () => socketPath,
      onContainer: async (pod, started) => {
        begun.push({ pod, container: started });
        await onContainer({ pod, container: started });
      },
      log: new Logger("debug", (line) => lines.push(line)),
      nowMs,
    });
    await runtime.listen(socketPath);
    const registration = runtime.plugin();
    plugin.start();
    stops.push(async () => {
      plugin.stop();
      await runtime.close();
    });
    return { plugin, begun, lines, registration: await registration, socketPath };
  }

  it("registers, subscribes to starts only, and is ready when synchronized", async () => {
    const runtime = new NriRuntime();
    const { plugin, registration } = await connected(runtime);
    assert.equal(registration.plugin_name, "lxcfs");
    assert.match(registration.plugin_idx, /^\d\d$/);
    assert.equal(runtime.events, 1 << 5);
    assert.equal(plugin.ready, true);
    assert.equal(plugin.healthy, true);
  });

  it("is told of a start as a state change and as a call of its own", async () => {
    const runtime = new NriRuntime();
    const { begun } = await connected(runtime);
    await runtime.call("StateChange", "StateChangeEvent", {
      event: 6,
      pod: POD,
      container: container(4711),
    });
    await runtime.call("StartContainer", "StartContainerRequest", {
      pod: POD,
      container: container(4712),
    });
    await runtime.call("StateChange", "StateChangeEvent", {
      event: 11,
      pod: POD,
      container: container(1),
    });
    await runtime.call("StateChange", "StateChangeEvent", { event: 1, pod: POD });
    assert.deepEqual(
      begun.map((b) => b.container.pid),
      [4711, 4712],
    );
    assert.deepEqual(begun[0], {
      pod: {
        id: "sandbox1",
        name: "web-0",
        uid: POD.uid,
        namespace: "shop",
        labels: POD.labels,
        annotations: POD.annotations,
        runtimeHandler: "runc",
        namespaceTypes: ["pid", "network"],
      },
      container: {
        id: "container4711",
        podSandboxId: "sandbox1",
        name: "app",
        state: 1,
        labels: {},
        pid: 4711,
        cgroupsPath: "/kubepods/burstable/pod1/c1",
        mountDestinations: ["/proc", "/data"],
        namespaceTypes: ["mount"],
      },
    });
  });

  it("catches up on what runs when it connects, however many parts it comes in", async () => {
    const containers = [container(1, 3), container(2, 3), container(3, 4), container(4, 3)];
    const runtime = new NriRuntime({ pods: [POD], containers });
    runtime.chunks = 2;
    const { begun } = await connected(runtime);
    assert.deepEqual(begun.map((b) => b.container.pid).toSorted(), [1, 2, 4]);
    assert.ok(begun.every((b) => b.pod.name === "web-0"));
  });

  it("lets a container start only after it was attached", async () => {
    const runtime = new NriRuntime();
    let attached = false;
    await connected(runtime, async () => {
      await sleep(100);
      attached = true;
    });
    await runtime.call("StartContainer", "StartContainerRequest", {
      pod: POD,
      container: container(5),
    });
    assert.equal(attached, true);
  });

  it("lets a container start that cannot be attached, and says so", async () => {
    const runtime = new NriRuntime();
    const { lines } = await connected(runtime, () => Promise.reject(new Error("no such process")));
    await runtime.call("StartContainer", "StartContainerRequest", {
      pod: POD,
      container: container(6),
    });
    assert.match(
      lines.join(""),
      /error: container was not attached pod=shop\/web-0 .*no such process/,
    );
  });

  it("answers before the runtime loses patience, and is unhealthy when stuck beyond that", async () => {
    const patienceMs = 1500;
    const runtime = new NriRuntime(undefined, patienceMs);
    let finish = (): void => undefined;
    const work = new Promise<void>((resolve) => (finish = resolve));
    let nowMs = 0;
    const { lines, plugin } = await connected(
      runtime,
      () => work,
      () => nowMs,
    );
    const startedMs = performance.now();
    await runtime.call("StartContainer", "StartContainerRequest", {
      pod: POD,
      container: container(7),
    });
    assert.ok(performance.now() - startedMs < patienceMs);
    assert.match(lines.join(""), /container starts before it is attached/);
    assert.equal(plugin.healthy, true);
    nowMs = 2 * patienceMs + 1;
    assert.equal(plugin.healthy, false);
    finish();
    await sleep(10);
    assert.equal(plugin.healthy, true);
  });

  it("answers what it does not know as unimplemented", async () => {
    const runtime = new NriRuntime();
    await connected(runtime);
    const pod = { pod: POD, container: container(8) };
    await assert.rejects(runtime.call("NoSuchCall", "StartContainerRequest", pod), /status 12/);
    await assert.rejects(runtime.raw("other.Service", "StateChange", Buffer.alloc(0)), /status 12/);
    await assert.rejects(
      runtime.raw("nri.pkg.api.v1alpha1.Plugin", "StateChange", Buffer.from("0a", "hex")),
      /status 2: .*Cannot read protobuf message/,
    );
  });

  it("connects again when the runtime restarts, and when it sends nonsense", async () => {
    const runtime = new NriRuntime();
    const { plugin } = await connected(runtime);
    for (const disturb of [
      () => runtime.disconnect(),
      () => runtime.sendBytes(Buffer.from("00000001ffffffff", "hex")),
      () => runtime.sendBytes(Buffer.from("000000010000000affffffff000000010200", "hex")),
    ]) {
      const again = runtime.plugin();
      disturb();
      await again;
      assert.equal(plugin.ready, true);
    }
  });

  it("is not ready where there is no runtime, and finds it when it comes", async () => {
    const socketPath = `${dir}/late.sock`;
    const log = new Logger("error", () => undefined);
    const plugin = new NriPlugin({
      socketPath: () => socketPath,
      onContainer: async () => undefined,
      log,
    });
    plugin.start();
    await sleep(50);
    assert.equal(plugin.ready, false);
    const runtime = new NriRuntime();
    await runtime.listen(socketPath);
    await runtime.plugin();
    assert.equal(plugin.ready, true);
    plugin.stop();
    await runtime.close();
  });
});
