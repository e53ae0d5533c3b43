/** Virtual files taken apart into named fields, so that two of them can be compared one by one. */
import { cpuinfoBlocks, statRows } from "../support/parse.ts";

/** Field name -> value, in words. */
export type Fields = Map<string, string>;

/** Columns of a cpu row of /proc/stat. */
const CPU_COLUMNS = "user nice system idle iowait irq softirq steal guest guest_nice".split(" ");
/** Columns of /proc/diskstats after the three that name the device. */
const DISK_COLUMNS =
  "reads readMerges readSectors readMs writes writeMerges writeSectors writeMs inFlight busyMs weightedMs " +
  "discards discardMerges discardSectors discardMs flushes flushMs";

/** How each file is taken apart. */
export const TAKE_APART: Readonly<Record<string, (text: string) => Fields>> = {
  "proc/meminfo": (text) => lines(text, /^(\S+): +(.*)$/),
  "proc/swaps": (text) => new Map([["text", text]]),
  "proc/cpuinfo": cpuinfo,
  "proc/stat": stat,
  "proc/uptime": (text) => words(text, ["uptime", "idle"]),
  "proc/loadavg": (text) =>
    words(text.replace("/", " "), ["load1", "load5", "load15", "running", "threads", "lastPid"]),
  "proc/diskstats": diskstats,
  "proc/slabinfo": (text) => new Map([["text", text]]),
  "sys/devices/system/cpu/online": (text) => new Map([["text", text]]),
};

function lines(text: string, pattern: RegExp): Fields {
  const fields: Fields = new Map();
  for (const line of text.trimEnd().split("\n")) {
    const [, name = line, value = ""] = pattern.exec(line) ?? [];
    fields.set(name, value);
  }
  return fields;
}

function words(text: string, names: readonly string[]): Fields {
  const values = text.trim().split(/\s+/);
  const fields: Fields = new Map(names.map((name, index) => [name, values[index] ?? "missing"]));
  if (values.length > names.length) fields.set("more", values.slice(names.length).join(" "));
  return fields;
}

function cpuinfo(text: string): Fields {
  const fields: Fields = new Map();
  const blocks = cpuinfoBlocks(text);
  fields.set("processors", String(blocks.length));
  for (const block of blocks) {
    for (const [name, value] of block) fields.set(`${name} of ${block.get("processor")}`, value);
  }
  return fields;
}

function stat(text: string): Fields {
  const fields: Fields = new Map();
  for (const [name, numbers] of statRows(text)) {
    // The first number of intr and softirq is the sum of the others.
    if (!name.startsWith("cpu")) fields.set(name, String(numbers[0]));
    else {
      for (const [index, column] of CPU_COLUMNS.entries()) {
        fields.set(`${name} ${column}`, String(numbers[index] ?? "missing"));
      }
    }
  }
  return fields;
}

function diskstats(text: string): Fields {
  const fields: Fields = new Map();
  for (const line of text.trimEnd().split("\n")) {
    const [, , name, ...numbers] = line.trim().split(/\s+/);
    if (name === undefined) continue;
    for (const [index, column] of DISK_COLUMNS.split(" ").entries()) {
      fields.set(`${name} ${column}`, numbers[index] ?? "missing");
    }
  }
  return fields;
}
