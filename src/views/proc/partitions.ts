/**
 * /proc/partitions: the block devices of /proc/diskstats, and nothing else of the host's.
 *
 *     major minor  #blocks  name
 *
 *      254        0  268435456 vda
 */
import { parsePartitions } from "../../host/partitions.ts";
import type { View } from "../view.ts";
import { usedDevices } from "./diskstats.ts";

export const partitions: View = {
  path: "proc/partitions",
  local: 43,
  mode: 0o444,
  render(machine) {
    const used = usedDevices(machine);
    if (used === undefined) return undefined;
    let rows = "";
    for (const row of parsePartitions(machine.host.procText("partitions") ?? "")) {
      if (!used.has(`${row.major}:${row.minor}`)) continue;
      const numbers = `${String(row.major).padStart(4)}  ${String(row.minor).padStart(7)}`;
      rows += `${numbers} ${String(row.kib).padStart(10)} ${row.name}\n`;
    }
    // The kernel writes the head with the first device, and nothing at all without one.
    return rows === "" ? "" : `major minor  #blocks  name\n\n${rows}`;
  },
};
