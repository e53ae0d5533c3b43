/**
 * The container's memory, in the kernel's own terms: every field of /proc/meminfo that a cgroup can
 * tell, in bytes. `docs/fidelity.md` has the same table in words.
 *
 * What always holds, whatever the kernel says between two reads of one reading:
 * Free <= Available <= Total, Shmem <= Cached, Free + Cached <= Total, SwapFree <= SwapTotal, nothing
 * negative.
 */
import type { MemoryReading } from "../cgroup/types.ts";

/** The smallest page of all architectures: what the kernel rounds to. */
const PAGE_BYTES = 4096;

/** How swap is shown; options of the mount. */
export interface SwapPolicy {
  /** `--disable-swap`: no swap is shown at all. */
  readonly showSwap: boolean;
  /** `--disable-zswap`: Zswap and Zswapped are 0. */
  readonly showZswap: boolean;
}

/** Bytes of a field of the host's /proc/meminfo; `undefined` where this kernel has no such line. */
export type HostMemory = (field: string) => number | undefined;

export interface Swap {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** The container's share of RAM: its tightest limit, or the host's RAM if that is less. */
export function memoryTotalBytes(reading: MemoryReading, host: HostMemory): number {
  const hostTotal = host("MemTotal") ?? 0;
  // A limit of 0 lets nothing run: whoever reads is not really bound by it (it was just set, say).
  return reading.limit.value > 0 ? Math.min(reading.limit.value, hostTotal) : hostTotal;
}

/**
 * The container's swap: never more than the host has, and never less in total than is used.
 * v1 with swappiness 0 may swap nothing more out, so that what is used is all there is.
 */
export function swapOf(reading: MemoryReading, host: HostMemory, policy: SwapPolicy): Swap {
  const hostTotal = host("SwapTotal") ?? 0;
  if (!policy.showSwap || !reading.swapAccounted || hostTotal === 0) {
    return { totalBytes: 0, freeBytes: 0 };
  }
  const usedBytes = Math.min(reading.swapUsageBytes, hostTotal);
  let totalBytes = Math.max(Math.min(reading.swapLimit.value, hostTotal), usedBytes);
  if (reading.swappiness === 0) totalBytes = usedBytes;
  return { totalBytes, freeBytes: totalBytes - usedBytes };
}

/** Every field of /proc/meminfo that is the container's own, in bytes. Fields not here are the host's. */
export function meminfoFields(
  reading: MemoryReading,
  host: HostMemory,
  policy: SwapPolicy,
): Map<string, number> {
  const { stat } = reading;
  const total = memoryTotalBytes(reading, host);
  const free = clamp(total - reading.usageBytes, 0, total);
  const cached = Math.min(stat.file, total - free);
  const shmem = Math.min(stat.shmem, cached);
  const reclaimable = stat.activeFile + stat.inactiveFile + stat.slabReclaimable;
  const swap = swapOf(reading, host, policy);
  // Slabs are told by the byte and shown in KiB: what is shown must add up, and be no more than all.
  const slabReclaimable = wholeKib(Math.min(stat.slabReclaimable, total));
  // v1 tells the kernel's memory only as one sum; slabs are the bulk of it.
  const otherSlab = stat.slabUnreclaimable + unsortedKernelBytes(stat);
  const slabUnreclaimable = wholeKib(Math.min(otherSlab, total - slabReclaimable));
  // The kernel charges no cgroup for what was locked: it is at most what cannot be evicted.
  const mlocked = Math.min(stat.unevictable, host("Mlocked") ?? 0);
  const fields = new Map([
    ["MemTotal", total],
    ["MemFree", free],
    ["MemAvailable", clamp(free + reclaimable, free, total)],
    // Pages of block devices are charged as file pages; what is in Cached must not be here as well.
    ["Buffers", 0],
    ["Cached", cached],
    ["SwapCached", Math.min(stat.swapCached, swap.totalBytes)],
    ["Active", stat.activeAnon + stat.activeFile],
    ["Inactive", stat.inactiveAnon + stat.inactiveFile],
    ["Active(anon)", stat.activeAnon],
    ["Inactive(anon)", stat.inactiveAnon],
    ["Active(file)", stat.activeFile],
    ["Inactive(file)", stat.inactiveFile],
    ["Unevictable", stat.unevictable],
    ["Mlocked", mlocked],
    ["SwapTotal", swap.totalBytes],
    ["SwapFree", swap.freeBytes],
    ["Zswap", policy.showZswap ? stat.zswap : 0],
    ["Zswapped", policy.showZswap ? stat.zswapped : 0],
    ["Dirty", stat.fileDirty],
    ["Writeback", stat.fileWriteback],
    ["AnonPages", stat.anon],
    ["Mapped", stat.fileMapped],
    ["Shmem", shmem],
    ["KReclaimable", slabReclaimable],
    ["Slab", slabReclaimable + slabUnreclaimable],
    ["SReclaimable", slabReclaimable],
    ["SUnreclaim", slabUnreclaimable],
    ["KernelStack", stat.kernelStack],
    ["ShadowCallStack", 0],
    ["PageTables", stat.pageTables],
    ["SecPageTables", stat.secPageTables],
    ["NFS_Unstable", 0],
    ["Bounce", 0],
    ["WritebackTmp", 0],
    ["CommitLimit", commitLimitBytes(total, swap.totalBytes, host)],
    // No cgroup accounts promises of memory; what was kept of them is the least it can be.
    ["Committed_AS", stat.anon + shmem + (swap.totalBytes - swap.freeBytes)],
    ["VmallocUsed", stat.vmalloc],
    ["Percpu", stat.percpu],
    ["HardwareCorrupted", 0],
    ["AnonHugePages", stat.anonThp],
    ["ShmemHugePages", stat.shmemThp],
    ["ShmemPmdMapped", 0],
    ["FileHugePages", stat.fileThp],
    ["FilePmdMapped", 0],
    ["CmaTotal", 0],
    ["CmaFree", 0],
    ["Unaccepted", 0],
    ["Balloon", 0],
    ["GPUActive", 0],
    ["GPUReclaim", 0],
    // How the kernel maps the machine's RAM for itself is nothing that a container has a part of.
    ["DirectMap4k", 0],
    ["DirectMap64k", 0],
    ["DirectMap1M", 0],
    ["DirectMap2M", 0],
    ["DirectMap4M", 0],
    ["DirectMap1G", 0],
    ["DirectMap2G", 0],
  ]);
  // A limit that was just lowered below what is used, or counters of different moments: a part of
  // the memory is never more than all of it.
  for (const [name, bytes] of fields) {
    if (bytes > total && !BEYOND_MEMORY.has(name)) fields.set(name, total);
  }
  return fields;
}

/** Fields that are not a part of RAM. */
const BEYOND_MEMORY = new Set(["SwapTotal", "SwapFree", "CommitLimit", "Committed_AS", "Zswapped"]);

/** The kernel's memory where the cgroup tells nothing of what it is used for (v1); else 0. */
function unsortedKernelBytes(stat: MemoryReading["stat"]): number {
  const sorted =
    stat.slabReclaimable +
    stat.slabUnreclaimable +
    stat.kernelStack +
    stat.pageTables +
    stat.percpu;
  return sorted === 0 ? stat.kernel : 0;
}

/**
 * The host's overcommit ratio, applied to the container's own RAM (kernel: `vm_commit_limit`, which
 * takes whole percents of whole pages).
 */
function commitLimitBytes(total: number, swapTotal: number, host: HostMemory): number {
  const hostTotal = host("MemTotal") ?? 0;
  if (hostTotal === 0) return total + swapTotal;
  const percent = (((host("CommitLimit") ?? 0) - (host("SwapTotal") ?? 0)) / hostTotal) * 100;
  // vm.overcommit_kbytes sets an amount in place of a ratio, and huge pages are left out of RAM:
  // then it is no whole percent, and is taken as it is.
  const whole = Math.round(percent);
  const ratio = clamp(Math.abs(percent - whole) < 0.01 ? whole : percent, 0, 100);
  const pages = Math.floor((Math.floor(total / PAGE_BYTES) * ratio) / 100);
  return pages * PAGE_BYTES + swapTotal;
}

function wholeKib(bytes: number): number {
  return Math.floor(bytes / 1024) * 1024;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(value, most));
}
