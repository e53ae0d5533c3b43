/** What people's tools read out of virtual files, as simply as they do. */

/** `/proc/meminfo`, `/proc/vmstat`: name -> first number (kB in meminfo). */
export function keyedNumbers(text: string): Map<string, number> {
  const fields = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, value] = /^(\S+?):?\s+(\d+)/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name, Number(value));
  }
  return fields;
}

/** `/proc/cpuinfo` of x86 and arm64: one map of fields a processor. */
export function cpuinfoBlocks(text: string): Map<string, string>[] {
  return text
    .split("\n\n")
    .map((block) => new Map(block.split("\n").map((line) => splitField(line))))
    .filter((fields) => fields.has("processor"));
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}

/** `/proc/stat`: first word -> numbers. */
export function statRows(text: string): Map<string, number[]> {
  const rows = new Map<string, number[]>();
  for (const line of text.trimEnd().split("\n")) {
    const [name = "", ...numbers] = line.split(/\s+/);
    rows.set(name, numbers.map(Number));
  }
  return rows;
}

/** A list such as `0-2,5` -> its numbers. */
export function cpuList(text: string): number[] {
  return text
    .trim()
    .split(",")
    .filter((part) => part !== "")
    .flatMap((part) => {
      const [first = Number.NaN, last = first] = part.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** The numbers of a line such as `/proc/uptime`'s or `/proc/loadavg`'s, `1/23` counting as two. */
export function numbersOf(text: string): number[] {
  return text
    .trim()
    .split(/[\s/]+/)
    .map(Number);
}
