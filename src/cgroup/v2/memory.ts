/**
 * Memory of a cgroup v2, Documentation/admin-guide/cgroup-v2.rst:
 *
 *     memory.max          max            memory.current        8192
 *     memory.swap.max     max            memory.swap.current   0
 *     memory.stat         anon 0
 *                         file 8192
 *                         kernel 0
 *
 * All in bytes, except the event counters in memory.stat. The root cgroup has memory.stat but
 * neither limits nor memory.current.
 */
import { type KeyedNumbers, parseKeyedNumbers } from "../../host/keyed_numbers.ts";
import { HierarchicalLimit } from "../limits.ts";
import { parseSingleValue } from "../single_value.ts";
import { eventsOf } from "../memory_stat.ts";
import type { MemoryReading, MemoryStat } from "../types.ts";
import { HeldLevels } from "../held_levels.ts";

/** Memory of one cgroup and all below it. */
export class MemoryV2 {
  readonly #limit: HierarchicalLimit;
  readonly #swapLimit: HierarchicalLimit;
  readonly #stat: HeldLevels;
  readonly #current: HeldLevels;
  readonly #swapCurrent: HeldLevels;
  #table: KeyedNumbers | undefined;

  /** @param levels directories, the cgroup's own first */
  constructor(levels: readonly string[]) {
    this.#limit = new HierarchicalLimit(levels, "memory.max");
    this.#swapLimit = new HierarchicalLimit(levels, "memory.swap.max");
    this.#stat = new HeldLevels(levels, "memory.stat");
    this.#current = new HeldLevels(levels, "memory.current");
    this.#swapCurrent = new HeldLevels(levels, "memory.swap.current");
  }

  /** `undefined` if the cgroup is gone, or no level has the memory controller. */
  read(): MemoryReading | undefined {
    const statText = this.#stat.read();
    if (statText === undefined) return undefined;
    const table = parseKeyedNumbers(statText, this.#table);
    this.#table = table;
    if (table.indexOf("anon") < 0) return undefined;
    const stat = memoryStatV2(table);
    const swapText = this.#swapCurrent.read();
    return {
      limit: this.#limit.read(),
      usageBytes:
        parseSingleValue(this.#current.read()) ?? stat.anon + stat.file + stat.kernel + stat.sock,
      stat,
      swapAccounted: swapText !== undefined,
      swapLimit: this.#swapLimit.read(),
      swapUsageBytes: parseSingleValue(swapText) ?? 0,
      swappiness: undefined,
    };
  }

  close(): void {
    for (const held of [
      this.#limit,
      this.#swapLimit,
      this.#stat,
      this.#current,
      this.#swapCurrent,
    ]) {
      held.close();
    }
  }
}

/** The lines of memory.stat that are amounts of memory; what a kernel does not have is 0. */
export function memoryStatV2(table: KeyedNumbers): MemoryStat {
  const bytes = (name: string): number => table.get(name) ?? 0;
  const slabReclaimable = bytes("slab_reclaimable");
  const slabUnreclaimable = bytes("slab_unreclaimable");
  const kernelStack = bytes("kernel_stack");
  const pageTables = bytes("pagetables");
  const secPageTables = bytes("sec_pagetables");
  const percpu = bytes("percpu");
  const vmalloc = bytes("vmalloc");
  return {
    anon: bytes("anon"),
    file: bytes("file"),
    activeAnon: bytes("active_anon"),
    inactiveAnon: bytes("inactive_anon"),
    activeFile: bytes("active_file"),
    inactiveFile: bytes("inactive_file"),
    unevictable: bytes("unevictable"),
    shmem: bytes("shmem"),
    fileMapped: bytes("file_mapped"),
    fileDirty: bytes("file_dirty"),
    fileWriteback: bytes("file_writeback"),
    anonThp: bytes("anon_thp"),
    fileThp: bytes("file_thp"),
    shmemThp: bytes("shmem_thp"),
    swapCached: bytes("swapcached"),
    slabReclaimable,
    slabUnreclaimable,
    kernelStack,
    pageTables,
    secPageTables,
    percpu,
    sock: bytes("sock"),
    vmalloc,
    // Kernels before 5.18 do not say `kernel`; these are the parts that it is the sum of.
    kernel:
      table.get("kernel") ??
      slabReclaimable + slabUnreclaimable + kernelStack + pageTables + percpu + vmalloc,
    zswap: bytes("zswap"),
    zswapped: bytes("zswapped"),
    get events() {
      return eventsOf(table, "");
    },
  };
}
