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

export const meminfo: View = {
  path: "proc/meminfo",
  local: 32,
  mode: 0o444,
  render(machine) {
    const host = machine.host.meminfo();
    const fields = machine.meminfo(host);
    if (fields === undefined) return undefined;
    const total = fields.get("MemTotal") ?? 0;
    let text = "";
    for (const [index, name] of host.names.entries()) {
      const hostValue = host.values[index] ?? 0;
      const own = fields.get(name);
      if (!meminfoHasUnit(name)) text += line(name, own ?? hostValue, "");
      // VmallocTotal is address space and Hugepagesize a size of pages: the same for all.
      else if (own === undefined && name.startsWith("Vmalloc"))
        text += line(name, hostValue, " kB");
      else text += line(name, Math.floor((own ?? Math.min(hostValue * 1024, total)) / 1024), " kB");
    }
    return text;
  },
};

function line(name: string, value: number, unit: string): string {
  const label = `${name}:`.padEnd(NUMBER_START);
  return `${label}${String(value).padStart(NUMBER_END - label.length)}${unit}\n`;
}
