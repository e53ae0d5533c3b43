/**
 * Keeps the load averages of those containers going that somebody has asked for: every five seconds
 * one look at the threads of each. It runs in a thread that serves nobody.
 *
 * It never takes more than one hundredth of a CPU: where a round costs more than that, the next one
 * comes later, and counts for as much more time.
 */
import type { Container } from "../caller/container.ts";
import type { ContainerKey } from "../caller/container_key.ts";
import type { Clock } from "../sys/clock.ts";
import { SLOT, type HistoryTable } from "./history.ts";
import { loadIsWanted, SAMPLE_MS } from "./load.ts";
import type { Machine } from "./machine.ts";

/** What sampling starts from. */
export interface SampledWorld {
  readonly history: HistoryTable;
  /** `undefined` for a container that is gone. */
  readonly containerOf: (key: ContainerKey) => Container | undefined;
  readonly machineOf: (container: Container) => Machine;
  readonly clock: Clock;
  /** CPU time of the calling thread in milliseconds: on a busy machine a round takes longer, but no more. */
  readonly cpuMs: () => number;
}

/** How a round went. */
export interface SampleRound {
  /** Containers that were sampled. */
  readonly sampled: number;
  /** CPU time it took. */
  readonly costMs: number;
  /** When the next round is due, from the start of this one. */
  readonly nextMs: number;
}

/** Share of one CPU that may go into sampling, as 1 of this many. */
const COST_RATIO = 100;
/** However much a round costs, the next one comes after this at the latest. */
const LATEST_MS = 60_000;

/** Keys of the containers whose load is wanted now. Cheap: reads shared memory and nothing else. */
export function wantedKeys(history: HistoryTable, nowMs: number): ContainerKey[] {
  const keys: ContainerKey[] = [];
  for (const slot of history.used()) {
    if (loadIsWanted(slot, nowMs)) keys.push((slot[SLOT.key] ?? 0) as ContainerKey);
  }
  return keys;
}

/** One round over all containers whose load is wanted. A container that fails does not stop others. */
export function sampleLoads(world: SampledWorld): SampleRound {
  const startMs = world.cpuMs();
  let sampled = 0;
  for (const key of wantedKeys(world.history, world.clock.monotonicMs())) {
    try {
      const container = world.containerOf(key);
      if (container === undefined) continue;
      world.machineOf(container).sampleLoad();
      sampled++;
    } catch {
      // Its files vanished or were malformed for a moment: its next sample counts for longer.
    }
  }
  const costMs = world.cpuMs() - startMs;
  return { sampled, costMs, nextMs: Math.min(LATEST_MS, Math.max(SAMPLE_MS, costMs * COST_RATIO)) };
}
