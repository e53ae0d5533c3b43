/**
 * /proc/diskstats (Documentation/admin-guide/iostats.rst): the devices that the container has used,
 * with the columns that this kernel has.
 *
 *      254       0 vda 3664 0 296570 105 466 0 102326 270 0 0 375 3448 0 177000 0 0 0
 *
 * Cgroups count operations and bytes (v2 `io.stat`, v1 `blkio.*`), v1 also merges and times where
 * the I/O scheduler tells. What no cgroup counts (I/O in flight, flushes) is 0.
 */
import type { DeviceIo } from "../../cgroup/types.ts";
import { DISK_COLUMN, parseDiskstats, SECTOR_BYTES } from "../../host/diskstats.ts";
import type { Machine } from "../../machine/machine.ts";
import type { View } from "../view.ts";

export const diskstats: View = {
  path: "proc/diskstats",
  local: 39,
  mode: 0o444,
  render(machine) {
    const used = usedDevices(machine);
    if (used === undefined) return undefined;
    let text = "";
    for (const row of parseDiskstats(machine.host.procText("diskstats") ?? "")) {
      const io = used.get(`${row.major}:${row.minor}`);
      if (io === undefined) continue;
      const columns = columnsOf(io, row.counters.length).join(" ");
      text += `${String(row.major).padStart(4)} ${String(row.minor).padStart(7)} ${row.name} ${columns}\n`;
    }
    return text;
  },
};

/** Devices the container has read, written or discarded on, by `major:minor`. */
export function usedDevices(machine: Machine): Map<string, DeviceIo> | undefined {
  const devices = machine.io();
  if (devices === undefined) return undefined;
  const used = new Map<string, DeviceIo>();
  for (const io of devices) {
    if (io.readIos + io.writeIos + io.discardIos + io.readBytes + io.writeBytes > 0) {
      used.set(`${io.major}:${io.minor}`, io);
    }
  }
  return used;
}

function columnsOf(io: DeviceIo, count: number): number[] {
  const columns = Array<number>(count).fill(0);
  const set = (column: number, value: number): void => {
    if (column < count) columns[column] = Math.floor(value);
  };
  set(DISK_COLUMN.readIos, io.readIos);
  set(DISK_COLUMN.readMerges, io.readMerges);
  set(DISK_COLUMN.readSectors, io.readBytes / SECTOR_BYTES);
  set(DISK_COLUMN.readTimeMs, io.readTimeMs);
  set(DISK_COLUMN.writeIos, io.writeIos);
  set(DISK_COLUMN.writeMerges, io.writeMerges);
  set(DISK_COLUMN.writeSectors, io.writeBytes / SECTOR_BYTES);
  set(DISK_COLUMN.writeTimeMs, io.writeTimeMs);
  set(DISK_COLUMN.weightedMs, io.readTimeMs + io.writeTimeMs);
  set(DISK_COLUMN.discardIos, io.discardIos);
  set(DISK_COLUMN.discardSectors, io.discardBytes / SECTOR_BYTES);
  return columns;
}
