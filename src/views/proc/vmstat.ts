/**
 * /proc/vmstat: amounts in pages, events since the container's start; the host's lines in the host's
 * order. What no cgroup counts is 0, which is less wrong for a container than the host's figure.
 *
 *     nr_free_pages 6111347
 *     pgfault 1997780
 */
import type { View } from "../view.ts";

const KIB = 1024;

/** Amounts, by the meminfo field that says the same in bytes. */
export const AMOUNTS: Readonly<Record<string, string>> = {
  nr_free_pages: "MemFree",
  nr_zone_inactive_anon: "Inactive(anon)",
  nr_zone_active_anon: "Active(anon)",
  nr_zone_inactive_file: "Inactive(file)",
  nr_zone_active_file: "Active(file)",
  nr_zone_unevictable: "Unevictable",
  nr_mlock: "Mlocked",
  nr_inactive_anon: "Inactive(anon)",
  nr_active_anon: "Active(anon)",
  nr_inactive_file: "Inactive(file)",
  nr_active_file: "Active(file)",
  nr_unevictable: "Unevictable",
  nr_slab_reclaimable: "SReclaimable",
  nr_slab_unreclaimable: "SUnreclaim",
  nr_anon_pages: "AnonPages",
  nr_mapped: "Mapped",
  nr_file_pages: "Cached",
  nr_dirty: "Dirty",
  nr_writeback: "Writeback",
  nr_shmem: "Shmem",
  nr_page_table_pages: "PageTables",
  nr_sec_page_table_pages: "SecPageTables",
  nr_swapcached: "SwapCached",
};

/** Amounts counted in huge pages. */
export const HUGE_AMOUNTS: Readonly<Record<string, string>> = {
  nr_anon_transparent_hugepages: "AnonHugePages",
  nr_shmem_hugepages: "ShmemHugePages",
  nr_file_hugepages: "FileHugePages",
};

export const vmstat: View = {
  path: "proc/vmstat",
  local: 44,
  mode: 0o444,
  render(machine) {
    const fields = machine.meminfo();
    const reading = machine.memory();
    if (fields === undefined || reading === undefined) return undefined;
    const { pageBytes } = machine.host;
    const io = machine.io() ?? [];
    let readBytes = 0;
    let writeBytes = 0;
    for (const device of io) {
      readBytes += device.readBytes;
      writeBytes += device.writeBytes;
    }
    const bytes = (meminfoField: string): number => fields.get(meminfoField) ?? 0;
    const hugePageBytes = (machine.host.meminfo().get("Hugepagesize") ?? 2048) * KIB;
    let text = "";
    for (const name of machine.host.vmstat().names) {
      const field = AMOUNTS[name];
      let value = reading.stat.events.get(name) ?? 0;
      const hugeField = HUGE_AMOUNTS[name];
      if (field !== undefined) value = bytes(field) / pageBytes;
      else if (hugeField !== undefined) value = bytes(hugeField) / hugePageBytes;
      else if (name === "nr_zone_write_pending")
        value = (bytes("Dirty") + bytes("Writeback")) / pageBytes;
      // The kernel counts these two in KiB, in spite of their names.
      else if (name === "pgpgin") value = readBytes / KIB;
      else if (name === "pgpgout") value = writeBytes / KIB;
      else if (name === "nr_kernel_stack") value = bytes("KernelStack") / KIB;
      text += `${name} ${Math.floor(value)}\n`;
    }
    return text;
  },
};
