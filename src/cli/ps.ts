/** `lxcfs ps [--json]`: the containers of this machine, their limits, and how they have their files. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Containers } from "../explain/subject.ts";
import {
  attachedText,
  printable,
  sizeText,
  survey,
  type SurveyRow,
  table,
} from "../explain/survey.ts";
import { command } from "./attach_common.ts";
import { SERVER_OPTIONS, statusOrNone } from "./explain_common.ts";
import { readersOf } from "./readers.ts";

/** Over which time reads per second are counted. */
const SAMPLE_MS = 1000;

export function run(args: readonly string[]): Promise<number> {
  return command("ps", async () => {
    const { values } = parseArgs({ args: [...args], options: SERVER_OPTIONS });
    const runtimeDir = resolve(values["runtime-dir"]);
    const ask = (): ReturnType<typeof readersOf> =>
      readersOf(() => statusOrNone(values.mountpoint, runtimeDir));
    const before = await ask();
    const containers = new Containers();
    let rows: SurveyRow[];
    try {
      rows = survey(containers);
    } finally {
      containers.close();
    }
    // Nothing to count: no need to wait.
    if (rows.length > 0 && before !== undefined) await sleep(SAMPLE_MS);
    const after = await ask();
    const reads = (row: SurveyRow): number | null =>
      before && after ? after.perSecondSince(before, row.container) : null;
    const shown = rows.map((row) => ({ ...row, readsPerSecond: reads(row) }));
    process.stdout.write(values.json ? `${JSON.stringify(shown, null, 2)}\n` : describe(shown));
    if (before === undefined) {
      process.stderr.write("lxcfs ps: note: no server was asked, so that no reads are counted\n");
    }
    return 0;
  });
}

function describe(rows: readonly (SurveyRow & { readsPerSecond: number | null })[]): string {
  if (rows.length === 0) return "no running container found\n";
  const head = ["RUNTIME", "NAME", "PID", "MEMORY", "LIMIT", "CPUS", "QUOTA", "FILES", "READS/S"];
  const lines = rows.map((row) => [
    row.runtime,
    printable(row.name),
    String(row.pid),
    sizeText(row.memoryBytes),
    sizeText(row.memoryLimitBytes),
    row.cpus === null ? "-" : String(row.cpus),
    row.cpuQuota === null ? "-" : row.cpuQuota.toFixed(2),
    attachedText(row.attached),
    row.readsPerSecond === null ? "-" : row.readsPerSecond.toFixed(1),
  ]);
  return table([head, ...lines]);
}
