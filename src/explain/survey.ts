/** All containers of the machine with their limits and what they use: what `ps` and `top` show. */
import { discoverContainers } from "../runtimes/discover.ts";
import type { FoundContainer } from "../runtimes/types.ts";
import { summarizeAttachments, type AttachmentSummary, type Containers } from "./subject.ts";

/** One container at one moment. Limits that are not set are `null`, as JSON has no infinity. */
export interface SurveyRow {
  readonly runtime: string;
  readonly name: string;
  readonly id: string;
  readonly pid: number;
  /** Its directory below `containers/`; `null`: it is in no cgroup of its own. */
  readonly container: string | null;
  readonly memoryLimitBytes: number | null;
  readonly memoryBytes: number | null;
  /** CPUs' worth of time that its quota allows. */
  readonly cpuQuota: number | null;
  /** CPUs of its cpuset. */
  readonly cpus: number | null;
  /** CPU time used since its cgroup was made. */
  readonly cpuUsageUs: number | null;
  readonly attached: AttachmentSummary;
}

/** @param found @default all that run; containers that end meanwhile are left out */
export function survey(
  containers: Containers,
  found: readonly FoundContainer[] = discoverContainers(),
): SurveyRow[] {
  const rows: SurveyRow[] = [];
  for (const each of found) {
    try {
      rows.push(rowOf(containers, each));
    } catch {
      // It has ended since it was found.
    }
  }
  return rows;
}

function rowOf(containers: Containers, { runtime, name, id, pid }: FoundContainer): SurveyRow {
  const container = containers.of(pid);
  const memory = container?.cgroups.memory();
  return {
    ...{ runtime, name, id, pid },
    container: container?.name ?? null,
    memoryLimitBytes: finite(memory?.limit.value),
    memoryBytes: memory?.usageBytes ?? null,
    cpuQuota: finite(container?.cgroups.quota().cpus),
    cpus: container?.cgroups.cpuset()?.length ?? null,
    cpuUsageUs: container?.cgroups.cpuTimes()?.usageUs ?? null,
    attached: summarizeAttachments(containers.procRoot, pid),
  };
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

/** How a container has its files, in a word or two. */
export function attachedText({ how, files }: AttachmentSummary): string {
  return files === 0 ? "no" : `${how} (${files})`;
}

/** `512M`, `1.5G`: at most five characters. */
export function sizeText(bytes: number | null): string {
  if (bytes === null) return "-";
  const units = ["", "K", "M", "G", "T", "P"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = value >= 100 || unit === 0 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
  return `${text}${units[unit]}`;
}

/** Columns as wide as their widest cell, two blanks between them. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join("");
}

/** Container names are the runtime's and people's: nothing in them may move the cursor. */
export function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}
