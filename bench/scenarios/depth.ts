/**
 * The cost of a read from containers 1, 4 and 16 cgroups deep, every read a rendering of its own
 * (`--freshness 0`): sharing would hide it.
 */
import { checksFor } from "../load.ts";
import { measure, type Measurements } from "../measurement.ts";
import type { Options } from "../options.ts";
import { type Servers, Stage } from "../subjects.ts";

const MEMORY_BYTES = 256 << 20;

/** How deep; the limit is always that of the topmost. */
export const DEPTHS: readonly number[] = [1, 4, 16];
const FILES = ["proc/meminfo", "proc/stat"] as const;

export async function runDepths(
  servers: Servers,
  options: Options,
  measurements: Measurements,
  say: (line: string) => void,
): Promise<void> {
  const stages: { readonly depth: number; readonly stage: Stage }[] = [];
  try {
    for (const depth of DEPTHS) {
      const limits = { memoryBytes: MEMORY_BYTES };
      stages.push({ depth, stage: await Stage.set(servers, FILES, depth, limits) });
    }
    for (let round = 0; round < options.rounds; round++) {
      say(`depth: round ${round + 1} of ${options.rounds}`);
      for (const file of FILES) {
        for (const subject of ["ours", "peer"] as const) {
          for (const { depth, stage } of stages) {
            const path = stage.path(subject, file);
            if (path === undefined) continue;
            const checks = checksFor(file, MEMORY_BYTES / 1024);
            const load = { readers: 1, seconds: options.seconds, checks };
            measurements.take(
              { scenario: "depth", subject, file, mode: "open", readers: 1, depth, containers: 1 },
              () => measure(stage.container, path, load, servers.of(subject)),
            );
          }
        }
      }
    }
  } finally {
    for (const { stage } of stages) stage.stop();
  }
}
