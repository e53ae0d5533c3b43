/**
 * Memory of a cgroup v2 by NUMA node, Documentation/admin-guide/cgroup-v2.rst, `memory.numa_stat`:
 *
 *     anon N0=1146880 N1=0
 *     file N0=8192 N1=0
 *
 * Bytes, the names those of memory.stat, the cgroups below included.
 */
import { Scanner } from "../../host/scanner.ts";
import type { NumaReading } from "../types.ts";

/** Lines and pairs that are not as above are passed over. */
export function parseNumaStatV2(text: string): NumaReading {
  return parseNumaLines(text, (name) => name, 1);
}

/**
 * The shape that v1 has, too.
 * @param rename name of a line in the result; `undefined` leaves it out
 * @param unitBytes what the numbers count
 */
export function parseNumaLines(
  text: string,
  rename: (line: string) => string | undefined,
  unitBytes: number,
): NumaReading {
  const scanner = new Scanner("memory.numa_stat", text);
  const nodes = new Map<number, Record<string, number>>();
  for (; !scanner.atEnd(); scanner.nextLine()) {
    const [first = ""] = scanner.word().split("=");
    const name = rename(first);
    if (name === undefined || name === "") continue;
    while (!scanner.atLineEnd()) {
      const pair = /^N(\d{1,5})=(\d+)$/.exec(scanner.word());
      if (!pair) continue;
      const node = Number(pair[1]);
      let values = nodes.get(node);
      if (!values) nodes.set(node, (values = {}));
      values[name] = Number(pair[2]) * unitBytes;
    }
  }
  return nodes;
}
