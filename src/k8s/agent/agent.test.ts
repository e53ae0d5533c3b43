import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Logger } from "../../sys/log.ts";
import type { ApiClient } from "../api/client.ts";
import type { NriContainer, PodSandbox } from "../nri/messages.ts";
import { DEFAULT_SETTINGS } from "../webhook/selection.ts";
import { ContainerWork } from "./agent.ts";
import type { Hand, Task } from "./hand.ts";
import { PodDirectory } from "./pods.ts";

const UID = "0d4c1c3a-3d6a-4c1e-9b57-000000000001";
const POD = {
  metadata: { name: "web", namespace: "shop", uid: UID },
  spec: { containers: [{ name: "app", resources: { requests: { cpu: "1500m" } } }] },
};

/** Works on one container, which is this process, with a hand that answers so. */
async function work(statuses: string[], annotations: Record<string, string> = {}) {
  const tasks: Task[] = [];
  const lines: string[] = [];
  const pod = { ...POD, metadata: { ...POD.metadata, annotations } };
  const labels = { "lxcfs.io/inject": "enabled" };
  const client = {
    get: (path: string) =>
      Promise.resolve(path.includes("/pods") ? { items: [pod] } : { metadata: { labels } }),
  } as unknown as ApiClient;
  const hand = {
    run: (task: Task) => {
      tasks.push(task);
      const status = task.do === "attach" ? (statuses.shift() ?? "done") : "done";
      return Promise.resolve({ containers: 1, outcome: { status, steps: [], milliseconds: 1 } });
    },
  } as unknown as Hand;
  const log = new Logger("info", (line) => lines.push(line));
  const pods = new PodDirectory(client, "node");
  const tryAgainMs = [1, 1, 1];
  const container = new ContainerWork({ settings: DEFAULT_SETTINGS, pods, hand, log, tryAgainMs });
  // What waits in there does not keep a process alive.
  const alive = setInterval(() => undefined, 1000);
  try {
    const sandbox = { ...pod.metadata, labels: {} } as unknown as PodSandbox;
    const started = { pid: process.pid, name: "app" } as unknown as NriContainer;
    await container.fromRuntime(sandbox, started);
  } finally {
    clearInterval(alive);
  }
  return { tasks, lines: lines.join("") };
}

describe("a container's start", () => {
  it("is attached to, with what its pod says of CPUs and boundary", async () => {
    const annotations = { "lxcfs.io/cpu-policy": "request", "lxcfs.io/boundary": "pod" };
    const { tasks, lines } = await work([], annotations);
    assert.deepEqual(
      tasks.map((task) => task.do),
      ["cpu-policy", "attach"],
    );
    const [policy, attach] = tasks;
    assert.equal(policy?.do === "cpu-policy" && policy.policy, "cpus=2");
    assert.deepEqual(attach?.do === "attach" && attach.view, { boundary: "pod" });
    assert.match(lines, /attached pod=shop\/web/);
  });

  it("is tried again where there was no time, and not where it was refused", async () => {
    const late = await work(["timeout", "timeout", "done"]);
    const never = await work(["timeout", "timeout", "timeout", "timeout", "done"]);
    const refused = await work(["refused", "done"]);
    assert.equal(late.tasks.length, 3);
    assert.match(late.lines, /info: attached/);
    assert.equal(never.tasks.length, 4);
    assert.match(never.lines, /not attached .*status=timeout/);
    assert.equal(refused.tasks.length, 1);
  });
});
