/**
 * Memory of a cgroup v1, Documentation/admin-guide/cgroup-v1/memory.rst:
 *
 *     memory.limit_in_bytes        9223372036854771712     memory.usage_in_bytes         123043840
 *     memory.memsw.limit_in_bytes  9223372036854771712     memory.memsw.usage_in_bytes   123146240
 *     memory.stat   rss 11345920
 *                   rss_huge 0
 *                   hierarchical_memory_limit 9223372036854771712
 *                   total_rss 21118976
 *                   total_rss_huge 0
 *
 * All in bytes. `memsw` is memory and swap together. The `total_` lines count the cgroups below,
 * too; names are compared whole, as several are beginnings of others.
 */
import type { HeldFile } from "../../sys/held_file.ts";
import { cgroupFile } from "../cgroup_file.ts";
import { type KeyedNumbers, parseKeyedNumbers } from "../../host/keyed_numbers.ts";
import { HierarchicalLimit, limitBytes } from "../limits.ts";
import { parseSingleValue } from "../single_value.ts";
import { eventsOf } from "../memory_stat.ts";
import type { Limit, MemoryReading, MemoryStat } from "../types.ts";

/** Memory of one cgroup and all below it. */
export class MemoryV1 {
  readonly #limit: HierarchicalLimit;
  readonly #memswLimit: HierarchicalLimit;
  readonly #stat: HeldFile;
  readonly #usage: HeldFile;
  readonly #memswUsage: HeldFile;
  readonly #swappiness: HeldFile;
  readonly #kernel: HeldFile;
  readonly #sock: HeldFile;
  #table: KeyedNumbers | undefined;

  /** @param levels directories, the cgroup's own first */
  constructor(levels: readonly string[]) {
    const held = (name: string): HeldFile => cgroupFile(`${levels[0] ?? ""}/${name}`);
    this.#limit = new HierarchicalLimit(levels, "memory.limit_in_bytes");
    this.#memswLimit = new HierarchicalLimit(levels, "memory.memsw.limit_in_bytes");
    this.#stat = held("memory.stat");
    this.#usage = held("memory.usage_in_bytes");
    this.#memswUsage = held("memory.memsw.usage_in_bytes");
    this.#swappiness = held("memory.swappiness");
    this.#kernel = held("memory.kmem.usage_in_bytes");
    this.#sock = held("memory.kmem.tcp.usage_in_bytes");
  }

  /** `undefined` if the cgroup is gone. */
  read(): MemoryReading | undefined {
    const statText = this.#stat.read();
    if (statText === undefined) return undefined;
    const table = parseKeyedNumbers(statText, this.#table);
    this.#table = table;
    if (table.indexOf("total_rss") < 0) return undefined;
    const kernelBytes = parseSingleValue(this.#kernel.read()) ?? 0;
    const stat = memoryStatV1(table, kernelBytes, () => parseSingleValue(this.#sock.read()) ?? 0);
    const usageBytes = parseSingleValue(this.#usage.read()) ?? stat.anon + stat.file + stat.kernel;
    const memswUsageBytes = parseSingleValue(this.#memswUsage.read());
    const limit = this.#limit.readKnowing(limitOf(table, "hierarchical_memory_limit"));
    const memswLimit = this.#memswLimit.readKnowing(limitOf(table, "hierarchical_memsw_limit"));
    return {
      limit,
      usageBytes,
      stat,
      swapAccounted: memswUsageBytes !== undefined,
      swapLimit: swapOf(memswLimit, limit),
      // Both counters are read one after the other: what was charged in between must not become swap below 0.
      swapUsageBytes: Math.max(0, (memswUsageBytes ?? 0) - usageBytes),
      swappiness: parseSingleValue(this.#swappiness.read()),
    };
  }

  close(): void {
    this.#limit.close();
    this.#memswLimit.close();
    for (const file of [this.#stat, this.#usage, this.#memswUsage]) file.close();
    for (const file of [this.#swappiness, this.#kernel, this.#sock]) file.close();
  }
}

/** memory.stat already has the tightest limit over all levels, also those above what is mounted here. */
function limitOf(table: KeyedNumbers, line: string): number | undefined {
  const bytes = table.get(line);
  return bytes === undefined ? undefined : limitBytes(bytes);
}

/** Swap is what the limit of both together leaves above the limit of memory. */
function swapOf(memsw: Limit, memory: Limit): Limit {
  if (memsw.value === Infinity) return memsw;
  const memoryBytes = memory.value === Infinity ? 0 : memory.value;
  return { ...memsw, value: Math.max(0, memsw.value - memoryBytes) };
}

/**
 * The hierarchical lines of memory.stat under the names of v2. v1 tells of the kernel's memory only
 * its sum (`memory.kmem.usage_in_bytes`) and TCP buffers: slab, stacks and page tables are 0.
 */
export function memoryStatV1(
  table: KeyedNumbers,
  kernelBytes: number,
  sockBytes: () => number,
): MemoryStat {
  const total = (name: string): number => table.get(`total_${name}`) ?? 0;
  return {
    anon: total("rss"),
    file: total("cache"),
    activeAnon: total("active_anon"),
    inactiveAnon: total("inactive_anon"),
    activeFile: total("active_file"),
    inactiveFile: total("inactive_file"),
    unevictable: total("unevictable"),
    shmem: total("shmem"),
    fileMapped: total("mapped_file"),
    fileDirty: total("dirty"),
    fileWriteback: total("writeback"),
    anonThp: total("rss_huge"),
    fileThp: 0,
    shmemThp: 0,
    swapCached: total("swapcached"),
    slabReclaimable: 0,
    slabUnreclaimable: 0,
    kernelStack: 0,
    pageTables: 0,
    secPageTables: 0,
    percpu: 0,
    // Hardly anybody asks: read then.
    get sock() {
      return sockBytes();
    },
    vmalloc: 0,
    kernel: kernelBytes,
    zswap: 0,
    zswapped: 0,
    get events() {
      return eventsOf(table, "total_");
    },
  };
}
