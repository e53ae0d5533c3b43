/** System calls of running processes, counted by strace. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Traces these processes, all their threads, while `work` runs; @returns calls by name. */
export async function countCalls(
  pids: readonly number[],
  work: () => unknown,
): Promise<Map<string, number>> {
  const output = join(tmpdir(), `lxcfs-strace-${process.pid}`);
  const attach = pids.flatMap((pid) => ["-p", String(pid)]);
  const strace = spawn("strace", ["-c", "-f", "-U", "calls,name", "-o", output, ...attach], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  try {
    // strace says on stderr what it attached to.
    await once(strace.stderr, "data");
    await sleep(300);
    work();
    strace.kill("SIGINT");
    await once(strace, "close");
    return parseSummary(readFileSync(output, "utf8"));
  } finally {
    strace.kill("SIGKILL");
    rmSync(output, { force: true });
  }
}

/** Reads `strace -c -U calls,name`: lines of `    123 read`, a rule, a total. */
export function parseSummary(text: string): Map<string, number> {
  const calls = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, count, name] = /^\s*(\d+) (\w+)$/.exec(line) ?? [];
    if (count !== undefined && name !== undefined && name !== "total")
      calls.set(name, Number(count));
  }
  return calls;
}
