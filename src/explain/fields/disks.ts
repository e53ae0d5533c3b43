/** Where each column of /proc/diskstats and /proc/partitions comes from. */
import type { DISK_COLUMN } from "../../host/diskstats.ts";
import type { Explanation, Field } from "../field.ts";
import { type Evidence, sourceOf, sourceRule, type Why } from "./cgroup_rules.ts";

type Column = keyof typeof DISK_COLUMN;

const THROTTLE = "blkio.throttle.";
const BFQ = "blkio.bfq.";

/** The columns in the kernel's order, by the kernel's words (Documentation/admin-guide/iostats.rst). */
const COLUMNS: Readonly<Record<Column, string>> = {
  readIos: "reads completed",
  readMerges: "reads merged",
  readSectors: "sectors read",
  readTimeMs: "ms reading",
  writeIos: "writes completed",
  writeMerges: "writes merged",
  writeSectors: "sectors written",
  writeTimeMs: "ms writing",
  inFlight: "in flight",
  busyMs: "ms doing I/O",
  weightedMs: "ms weighted",
  discardIos: "discards completed",
  discardMerges: "discards merged",
  discardSectors: "sectors discarded",
  discardTimeMs: "ms discarding",
  flushIos: "flushes",
  flushTimeMs: "ms flushing",
};

/** File of v1 and entry of v2's io.stat that a column is taken from; a v1 file may lack. */
const OPERATIONS = `${THROTTLE}io_serviced_recursive`;
const BYTES = `${THROTTLE}io_service_bytes_recursive`;
const MERGED = `${BFQ}io_merged_recursive`;
const TIME = `${BFQ}io_service_time_recursive`;
const SOURCES: Partial<Record<Column, readonly [v1: string, v2: string, how: string]>> = {
  readIos: [OPERATIONS, "rios", ""],
  readSectors: [BYTES, "rbytes", " / 512"],
  writeIos: [OPERATIONS, "wios", ""],
  writeSectors: [BYTES, "wbytes", " / 512"],
  discardIos: [OPERATIONS, "dios", ""],
  discardSectors: [BYTES, "dbytes", " / 512"],
  readMerges: [MERGED, "", ""],
  writeMerges: [MERGED, "", ""],
  readTimeMs: [TIME, "", " and io_wait_time_recursive"],
  writeTimeMs: [TIME, "", " and io_wait_time_recursive"],
};

export function explainDiskstats(evidence: Evidence, text: string): Explanation {
  const fields = rowsOf(text).flatMap(([, , name = "", ...counters]): Field[] =>
    (Object.keys(COLUMNS) as Column[]).slice(0, counters.length).map((column, i) => ({
      name: `${name} ${COLUMNS[column]}`,
      value: counters[i] ?? "",
      ...columnRule(evidence, column),
    })),
  );
  return {
    path: "proc/diskstats",
    summary: "the devices that the container has used",
    fields: fields.length > 0 ? fields : [noDevices(evidence)],
  };
}

export function explainPartitions(evidence: Evidence, text: string): Explanation {
  const file = `${evidence.procRoot}/partitions`;
  const used = sourceRule(ioSource(evidence), "shown since the container has used it").rule;
  const fields = rowsOf(text)
    .filter(([major = ""]) => /^\d+$/.test(major))
    .flatMap(([major, minor, blocks = "", name = ""]): Field[] => [
      { name: `${name} major:minor`, value: `${major}:${minor}`, rule: used, file },
      {
        name: `${name} #blocks`,
        value: blocks,
        rule: "KiB, the host's: a device has one size",
        file,
      },
    ]);
  return {
    path: "proc/partitions",
    summary: "the devices that the container has used, as /proc/diskstats shows them",
    fields: fields.length > 0 ? fields : [noDevices(evidence)],
  };
}

function rowsOf(text: string): string[][] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => line.trim().split(/\s+/));
}

function ioSource(evidence: Evidence): ReturnType<typeof sourceOf> {
  return sourceOf(evidence, "blkio", [BYTES, "io.stat"]);
}

function noDevices(evidence: Evidence): Field {
  return { name: "devices", value: "0", ...sourceRule(ioSource(evidence), "none used so far") };
}

function columnRule(evidence: Evidence, column: Column): Why {
  if (column === "weightedMs") return { rule: "ms reading + ms writing" };
  const source = SOURCES[column];
  if (source === undefined) return { rule: "no cgroup counts it" };
  const [v1, v2, how] = source;
  const found = sourceOf(evidence, "blkio", [v1, "io.stat"]);
  if (found === undefined) return { rule: "no cgroup counts it here" };
  const { file, level, words, version } = found;
  if (version === 2) {
    if (v2 === "") return { rule: "no cgroup v2 counts it" };
    return { rule: `${v2} in ${words}${how}`, file, level };
  }
  const bfq = v1.replace(THROTTLE, BFQ);
  const both = bfq !== v1 && sourceOf(evidence, "blkio", [bfq, ""]) !== undefined;
  return { rule: `${words}${how}${both ? `, or ${bfq} where that is more` : ""}`, file, level };
}
