/** System calls of the server per read, counted by strace -c. */
import { installed } from "../../test/support/run.ts";
import { countCalls } from "../../test/support/strace.ts";
import { checksFor, runLoad } from "../load.ts";
import type { Options } from "../options.ts";
import { type Servers, Stage, type SubjectName } from "../subjects.ts";

const MEMORY_BYTES = 256 << 20;
const READS = 500;

/** Calls per read: in total, and by name where more than one in a hundred reads makes it. */
export interface SyscallResult {
  readonly subject: SubjectName;
  readonly file: string;
  readonly perRead: number;
  readonly byName: Readonly<Record<string, number>>;
}

export async function runSyscalls(
  servers: Servers,
  options: Options,
  say: (line: string) => void,
): Promise<SyscallResult[]> {
  if (!installed("strace")) {
    say("syscalls: left out, strace is not installed");
    return [];
  }
  const results: SyscallResult[] = [];
  const stage = await Stage.set(servers, options.files, 4, { memoryBytes: MEMORY_BYTES });
  try {
    for (const subject of ["ours", "peer"] as const) {
      const server = servers.of(subject);
      if (server === undefined) continue;
      for (const file of options.files) {
        const path = stage.path(subject, file);
        if (path === undefined) continue;
        say(`syscalls: ${subject} ${file}`);
        const checks = checksFor(file, MEMORY_BYTES / 1024);
        const load = (reads: number): unknown =>
          runLoad(stage.container, path, { readers: 1, opsPerReader: reads, checks });
        load(20);
        const calls = await countCalls(server.pids(), () => load(READS));
        results.push({ subject, file, ...perRead(calls) });
      }
    }
  } finally {
    stage.stop();
  }
  return results;
}

function perRead(calls: ReadonlyMap<string, number>): Omit<SyscallResult, "subject" | "file"> {
  const sorted = [...calls].toSorted(([, a], [, b]) => b - a);
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  const often = sorted.filter(([, count]) => count > READS / 100);
  return {
    perRead: total / READS,
    byName: Object.fromEntries(often.map(([name, count]) => [name, count / READS])),
  };
}
