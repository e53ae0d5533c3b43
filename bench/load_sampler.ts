/**
 * What keeping load averages costs: 100 containers of 50 threads each, all of them asked for, in the
 * share of one CPU that the sampler takes over its five seconds. Three times: nobody runs, one thread
 * of each container wakes now and then (each container must be looked at thread by thread), and the
 * first sample of all.
 *
 *     node dist/bench/load_sampler.js [CONTAINERS] [THREADS]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { nameToKey, type ContainerKey } from "../src/caller/container_key.ts";
import { ContainerRegistry } from "../src/caller/registry.ts";
import type { Container } from "../src/caller/container.ts";
import { detectLayout } from "../src/cgroup/layout.ts";
import { HistoryTable, historyBytes } from "../src/machine/history.ts";
import { Host } from "../src/machine/host.ts";
import { sampleLoads, type SampledWorld } from "../src/machine/load_sampler.ts";
import { SAMPLE_MS } from "../src/machine/load.ts";
import { Machine } from "../src/machine/machine.ts";
import { SystemClock } from "../src/sys/clock.ts";
import { readFile } from "../src/sys/read.ts";
import { threadCpuMs } from "../src/sys/thread_time.ts";
import { CgroupTree } from "../test/support/cgroup_tree.ts";
import { quote } from "../test/support/container.ts";
import { Loads } from "../test/fidelity/ground.ts";

const ROUNDS = 5;
const WAKE_MS = 200;

function worldOf(): SampledWorld & { registry: ContainerRegistry } {
  const clock = new SystemClock();
  const host = new Host();
  const registry = new ContainerRegistry({
    procRoot: "/proc",
    layout: detectLayout(readFile("/proc/self/mountinfo")),
    root: "",
    pageBytes: host.pageBytes,
    maxContainers: 4096,
  });
  const cpus = host.onlineCpus().length;
  const slots = 2048;
  const history = new HistoryTable(new ArrayBuffer(historyBytes(slots, cpus)), 0, slots, cpus);
  const settings = {
    cpuPolicy: "cpuset",
    hostUptime: false,
    loadavg: true,
    showSwap: true,
    showZswap: true,
  } as const;
  const machines = new Map<Container, Machine>();
  const machineOf = (container: Container): Machine => {
    let machine = machines.get(container);
    if (machine === undefined) {
      machine = new Machine(container, host, clock, settings, history);
      machines.set(container, machine);
    }
    return machine;
  };
  return {
    clock,
    cpuMs: threadCpuMs,
    registry,
    history,
    machineOf,
    containerOf: (key) => registry.get(key),
  };
}

function keyOf(group: CgroupTree, path: string): ContainerKey | undefined {
  const v1 = group.hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes("memory")); // prettier-ignore
  const hierarchy = v1 ?? group.hierarchies.find(({ version }) => version === 2);
  const inode = statSync(join(hierarchy?.mountpoint ?? "", path)).ino;
  return nameToKey(v1 ? `memory-${inode}` : String(inode));
}

async function begin(
  group: CgroupTree,
  path: string,
  argv: readonly string[],
): Promise<ChildProcess> {
  const script = `set -e\n${group.joinScript(path)}\nexec ${argv.map(quote).join(" ")}`;
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.stdin.write("\n");
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

async function measure(containers: number, threads: number, wakeMs: number): Promise<void> {
  const group = new CgroupTree(`lxcfs-bench-load-${process.pid}`);
  const loads = new Loads();
  const children: ChildProcess[] = [];
  const world = worldOf();
  try {
    const keys: ContainerKey[] = [];
    for (let index = 0; index < containers; index++) {
      const path = group.makeBelow(group.top, `c${index}`);
      children.push(await begin(group, path, [loads.program, "sleep", String(threads), String(wakeMs)])); // prettier-ignore
      const key = keyOf(group, path);
      if (key !== undefined) keys.push(key);
    }
    const cost = (work: () => void): number => {
      const before = threadCpuMs();
      work();
      return threadCpuMs() - before;
    };
    const first = cost(() => {
      for (const key of keys) {
        const container = world.containerOf(key);
        if (container !== undefined) world.machineOf(container).load();
      }
    });
    let total = 0;
    let nextMs = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(WAKE_MS * 2);
      let sampled = 0;
      total += cost(() => ({ sampled, nextMs } = sampleLoads(world)));
      if (sampled !== keys.length) throw new Error(`${sampled} of ${keys.length} were sampled`);
    }
    const eachMs = total / ROUNDS;
    const share = (eachMs / Math.max(nextMs, SAMPLE_MS)) * 100;
    const what = wakeMs === 0 ? "nobody runs" : "each container runs";
    console.log(
      `${what.padEnd(20)} first ${first.toFixed(1)} ms, then ${eachMs.toFixed(2)} ms a round,` +
        ` next after ${(nextMs / 1000).toFixed(1)} s: ${share.toFixed(3)}% of one CPU`,
    );
  } finally {
    for (const child of children) child.kill("SIGKILL");
    group.remove();
    loads.close();
  }
}

const [containers = 100, threads = 50] = process.argv.slice(2).map(Number);
console.log(`${containers} containers of ${threads} threads`);
await measure(containers, threads, 0);
await measure(containers, threads, WAKE_MS);
