/**
 * /proc/meminfo (Documentation/filesystems/proc.rst): the kernel's lines in the kernel's order and
 * form, with the container's figures.
 *
 *     MemTotal:         262144 kB
 *     HugePages_Total:       0
 */
import { meminfoHasUnit } from "../../host/meminfo.ts";
import type { View } from "../view.ts";

/** Column at which every number ends (the kernel's formats agree on it). */
const NUMBER_END = 24;
const NUMBER_START = 16;

/** What of a line does not depend on its number. */
interface Line {
  readonly name: string;
  readonly label: string;
  readonly numberWidth: number;
  readonly unit: string;
  /** Address space and the size of huge pages are the machine's, however much memory the container has. */
  readonly bounded: boolean;
}

/** The lines of a kernel, made once for its list of names. */
const linesByNames = new WeakMap<readonly string[], readonly Line[]>();

function linesOf(names: readonly string[]): readonly Line[] {
  let lines = linesByNames.get(names);
  if (lines === undefined) linesByNames.set(names, (lines = names.map(lineOf)));
  return lines;
}

function lineOf(name: string): Line {
  const label = `${name}:`.padEnd(NUMBER_START);
  const hasUnit = meminfoHasUnit(name);
  return {
    name,
    label,
    numberWidth: NUMBER_END - label.length,
    unit: hasUnit ? " kB\n" : "\n",
    bounded: hasUnit && !name.startsWith("Vmalloc"),
  };
}

export const meminfo: View = {
  path: "proc/meminfo",
  local: 32,
  mode: 0o444,
  render(machine) {
    const host = machine.host.meminfo();
    const fields = machine.meminfo(host);
    if (fields === undefined) return undefined;
    const totalKib = Math.floor((fields.get("MemTotal") ?? 0) / 1024);
    const lines = linesOf(host.names);
    let text = "";
    for (let i = 0; i < lines.length; i++) {
      const { name, label, numberWidth, unit, bounded } = lines[i] as Line;
      const own = fields.get(name);
      let number = host.values[i] ?? 0;
      if (own !== undefined) number = unit === "\n" ? own : Math.floor(own / 1024);
      else if (bounded) number = Math.min(number, totalKib);
      text += label + String(number).padStart(numberWidth) + unit;
    }
    return text;
  },
};
