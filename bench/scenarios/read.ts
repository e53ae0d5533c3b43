/**
 * Reads of every file by 1, 4 and 16 readers in one container four cgroups deep, by every subject,
 * interleaved: in each round every subject runs right after the others, in a rotating order.
 */
import { readFileSync } from "node:fs";
import { checksFor } from "../load.ts";
import { measure, type Measurements } from "../measurement.ts";
import type { Options } from "../options.ts";
import { type Servers, Stage, type SubjectName } from "../subjects.ts";

const MEMORY_BYTES = 256 << 20;
const DEPTH = 4;
const SUBJECTS: readonly SubjectName[] = ["ours", "peer", "attached", "null", "floor", "kernel"];

export async function runReads(
  servers: Servers,
  options: Options,
  measurements: Measurements,
  say: (line: string) => void,
): Promise<void> {
  const stage = await Stage.set(servers, options.files, DEPTH, { memoryBytes: MEMORY_BYTES });
  try {
    for (let round = 0; round < options.rounds; round++) {
      say(`read: round ${round + 1} of ${options.rounds}`);
      for (const file of options.files) {
        for (const readers of options.readers) {
          for (const mode of ["open", "held"] as const) {
            for (const subject of rotated(SUBJECTS, round)) {
              const path = stage.path(subject, file);
              if (path === undefined || isRepeated(subject, file, options)) continue;
              const checks = checksOf(subject, file);
              const of = { readers, held: mode === "held", seconds: options.seconds, checks };
              measurements.take(
                { scenario: "read", subject, file, mode, readers, depth: DEPTH, containers: 1 },
                () => measure(stage.container, path, of, servers.of(subject)),
              );
            }
          }
        }
      }
    }
  } finally {
    stage.stop();
  }
}

/** Files without content are the same whatever they stand beside: once is enough. */
function isRepeated(subject: SubjectName, file: string, options: Options): boolean {
  return (subject === "null" || subject === "floor") && file !== options.files[0];
}

function checksOf(subject: SubjectName, file: string): string[] {
  if (subject === "null" || subject === "floor") return ["-e"];
  const hostKb = /^MemTotal: +(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return checksFor(file, subject === "kernel" ? Number(hostKb) : MEMORY_BYTES / 1024);
}

/** `items`, beginning with another one each round. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const first = round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
