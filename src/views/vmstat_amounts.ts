/**
 * The lines of a vmstat file that are amounts of memory, by the meminfo fields that say the same in
 * bytes. /proc/vmstat and those of the NUMA nodes have them alike.
 */

const KIB = 1024;

/** Amounts in pages; of several fields, their sum. */
export const AMOUNTS: Readonly<Record<string, readonly string[]>> = {
  nr_free_pages: ["MemFree"],
  nr_zone_inactive_anon: ["Inactive(anon)"],
  nr_zone_active_anon: ["Active(anon)"],
  nr_zone_inactive_file: ["Inactive(file)"],
  nr_zone_active_file: ["Active(file)"],
  nr_zone_unevictable: ["Unevictable"],
  nr_zone_write_pending: ["Dirty", "Writeback"],
  nr_mlock: ["Mlocked"],
  nr_inactive_anon: ["Inactive(anon)"],
  nr_active_anon: ["Active(anon)"],
  nr_inactive_file: ["Inactive(file)"],
  nr_active_file: ["Active(file)"],
  nr_unevictable: ["Unevictable"],
  nr_slab_reclaimable: ["SReclaimable"],
  nr_slab_unreclaimable: ["SUnreclaim"],
  nr_anon_pages: ["AnonPages"],
  nr_mapped: ["Mapped"],
  // The kernel takes what is cached of swap for pages of files here, and out again for `Cached`.
  nr_file_pages: ["Cached", "SwapCached"],
  nr_dirty: ["Dirty"],
  nr_writeback: ["Writeback"],
  nr_shmem: ["Shmem"],
  nr_page_table_pages: ["PageTables"],
  nr_sec_page_table_pages: ["SecPageTables"],
  nr_swapcached: ["SwapCached"],
};

/** Amounts in huge pages. */
export const HUGE_AMOUNTS: Readonly<Record<string, string>> = {
  nr_anon_transparent_hugepages: "AnonHugePages",
  nr_shmem_hugepages: "ShmemHugePages",
  nr_file_hugepages: "FileHugePages",
};

export interface PageSizes {
  readonly pageBytes: number;
  readonly hugePageBytes: number;
}

/**
 * What a line of a vmstat file says, whole; `undefined` for lines that are no amounts.
 * @param bytes a field of meminfo
 */
export function vmstatAmount(
  name: string,
  bytes: (meminfoField: string) => number,
  { pageBytes, hugePageBytes }: PageSizes,
): number | undefined {
  const fields = AMOUNTS[name];
  if (fields !== undefined) {
    return Math.floor(fields.reduce((sum, field) => sum + bytes(field), 0) / pageBytes);
  }
  const hugeField = HUGE_AMOUNTS[name];
  if (hugeField !== undefined) return Math.floor(bytes(hugeField) / hugePageBytes);
  // KiB, as the kernel has it.
  return name === "nr_kernel_stack" ? Math.floor(bytes("KernelStack") / KIB) : undefined;
}
