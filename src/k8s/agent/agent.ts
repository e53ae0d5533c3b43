/**
 * What the agent does when a container starts: whose it is, whether it is to be attached to. How it
 * learns of containers (NRI, cgroups), and how it keeps the server up, is elsewhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../sys/log.ts";
import type { Pod } from "../api/objects.ts";
import type { NriContainer, PodSandbox } from "../nri/messages.ts";
import type { InjectionSettings } from "../webhook/selection.ts";
import { EXCLUDE_CONTAINERS } from "../names.ts";
import type { SeenContainer } from "./cgroup_watch.ts";
import { isPause, ownProgram, startTicks } from "./container_process.ts";
import { asksForRequest, cpuPolicyOf } from "./cpu_policy.ts";
import { decide } from "./decide.ts";
import type { Hand } from "./hand.ts";
import type { PodDirectory } from "./pods.ts";
import { containerName } from "./pods.ts";

const ASK_AGAIN_MS: readonly number[] = [500, 1000, 2000, 5000, 10_000, 20_000, 30_000];
/** When one that there was no time for is tried again: a busy node does not stay as busy. */
const TRY_AGAIN_MS: readonly number[] = [5000, 20_000, 60_000];
/** How long after its start a container's name may take to appear in its pod's status. */
const NAME_MS = 10_000;

export interface ContainerWorkOptions {
  settings: InjectionSettings;
  pods: PodDirectory;
  hand: Hand;
  log: Logger;
  /** @default TRY_AGAIN_MS */
  tryAgainMs?: readonly number[];
}

export class ContainerWork {
  readonly #options: ContainerWorkOptions;
  /** Pods left alone, by reason: for the metrics. */
  readonly skipped: Map<string, number> = new Map();

  constructor(options: ContainerWorkOptions) {
    this.#options = options;
  }

  /** A container that the runtime is about to start, or that runs. Rejects only on surprises. */
  async fromRuntime(sandbox: PodSandbox, container: NriContainer): Promise<void> {
    const { pods, log } = this.#options;
    if (container.pid === 0) return;
    const known = await pods.byUid(sandbox.uid).catch((error: unknown) => {
      log.warn("API server was not asked about a pod", { error: String(error) });
      return undefined;
    });
    // What the runtime says of a pod is enough to decide by, if need be.
    const { name, namespace, uid, labels, annotations } = sandbox;
    const pod: Pod = known ?? { metadata: { name, namespace, uid, labels, annotations } };
    await this.#attach(pod, container.pid, container.name);
  }

  /** A container whose cgroup has appeared. */
  async fromCgroup(seen: SeenContainer): Promise<void> {
    // Both take a moment: asking meanwhile costs the container nothing.
    const asked = this.#podOf(seen.podUid);
    const pid = await ownProgram(seen.cgroup);
    if (pid === 0 || isPause(pid)) return;
    const pod = await asked;
    if (!pod) {
      this.#skip("unknown-pod");
      return;
    }
    const excludes = pod.metadata?.annotations?.[EXCLUDE_CONTAINERS] !== undefined;
    const matters = excludes || asksForRequest(pod);
    await this.#attach(pod, pid, matters ? await this.#nameOf(seen) : "");
  }

  /** Where the API server does not answer, or does not know the pod yet, it is asked again. */
  async #podOf(uid: string): Promise<Pod | undefined> {
    for (const waitMs of ASK_AGAIN_MS) {
      const pod = await this.#options.pods.byUid(uid).catch(() => undefined);
      if (pod) return pod;
      await pause(waitMs);
    }
    return await this.#options.pods.byUid(uid).catch(() => undefined);
  }

  async #nameOf(seen: SeenContainer): Promise<string> {
    const untilMs = performance.now() + NAME_MS;
    while (performance.now() < untilMs) {
      const pods = await this.#options.pods.refresh().catch(() => undefined);
      const pod = pods?.get(seen.podUid);
      const name = pod && containerName(pod, seen.id);
      if (name !== undefined) return name;
      await pause(500);
    }
    return "";
  }

  async #attach(pod: Pod, pid: number, container: string): Promise<void> {
    const { pods, settings, hand, log } = this.#options;
    const namespace = pod.metadata?.namespace ?? "";
    const decision = decide(pod, await pods.namespaceLabels(namespace), settings);
    if (!decision.attach) {
      this.#skip(decision.why);
      return;
    }
    if (decision.excludedContainers.has(container)) {
      this.#skip("excluded-container");
      return;
    }
    const policy = cpuPolicyOf(pod, container);
    if (policy !== undefined) await hand.run({ do: "cpu-policy", pid, policy });
    const { wanted, boundary } = decision;
    const task = { do: "attach", pid, wanted, view: { boundary } } as const;
    const started = startTicks(pid);
    let { outcome } = await hand.run(task);
    for (const waitMs of this.#options.tryAgainMs ?? TRY_AGAIN_MS) {
      if (outcome?.status !== "timeout") break;
      await pause(waitMs);
      // Another process by now, perhaps.
      if (started === undefined || startTicks(pid) !== started) return;
      ({ outcome } = await hand.run(task));
    }
    if (!outcome) return;
    const fields = { pod: `${namespace}/${pod.metadata?.name}`, pid, container };
    if (outcome.status === "done") {
      const { milliseconds } = outcome;
      log.info("attached", { ...fields, ms: Math.round(milliseconds) });
    } else if (outcome.status !== "gone") {
      const why = outcome.message ?? outcome.steps.find((step) => step.did === "failed")?.why;
      log.warn("not attached", { ...fields, status: outcome.status, why });
    }
  }

  #skip(why: string): void {
    this.skipped.set(why, (this.skipped.get(why) ?? 0) + 1);
  }
}

/** Does not keep an agent that is to end. */
function pause(ms: number): Promise<void> {
  return sleep(ms, undefined, { ref: false });
}
