/** From the start of the command to the first answered read. */
import { Server } from "../../test/support/server.ts";
import type { Options } from "../options.ts";
import { type MemoryKb, memoryKb } from "../processes.ts";
import type { SubjectName } from "../subjects.ts";

/** One subject's starts. */
export interface StartResult {
  readonly subject: SubjectName;
  readonly firstReadMs: number[];
  /** Memory of all its processes right after the first read. */
  readonly idle: MemoryKb;
}

export async function runStarts(
  options: Options,
  say: (line: string) => void,
): Promise<StartResult[]> {
  const results: StartResult[] = [];
  for (const [subject, left] of [
    ["ours", options.noOurs],
    ["peer", options.noPeer],
  ] as const) {
    if (left) continue;
    say(`start: ${subject}`);
    const firstReadMs: number[] = [];
    let idle = memoryKb([]);
    for (let round = 0; round < options.rounds; round++) {
      const args = subject === "ours" ? options.serverArgs : [];
      const server = await Server.start({ kind: subject, args });
      firstReadMs.push(server.readyMs);
      idle = memoryKb(server.pids());
      await server.stop();
    }
    results.push({ subject, firstReadMs, idle });
  }
  return results;
}
