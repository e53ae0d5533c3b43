/** Where this project tells something else than LXCFS 5, on purpose: what, and why. */
import { isEmulated } from "../support/wait.ts";

/** One deliberate difference. */
export interface Difference {
  readonly file: string;
  /** Names of the fields it is about; see `fields.ts`. */
  readonly field: RegExp;
  readonly why: string;
  /** What must be true of ours and the peer's value; a field that is missing is undefined. */
  readonly holds?: (ours: string | undefined, theirs: string | undefined) => boolean;
  /** Only where cgroup v2 is all there is, or only where there is v1; else everywhere. */
  readonly on?: "v1" | "v2";
  /** Seen on every machine, so that an entry that explains nothing is noticed; or wherever there is v1. */
  readonly always?: true | "v1";
}

const number = (value: string | undefined): number => Number.parseFloat(value ?? "");

/** Ours is the smaller one: the container's own figure in place of the host's. */
const less = (ours: string | undefined, theirs: string | undefined): boolean =>
  number(ours) < number(theirs);

/** The peer separates the heads of the last columns by one tab. */
const headOf = (text: string | undefined): string | undefined => text?.replaceAll("\t\t", "\t");

/** A text but for its figures. */
const formOf = (text: string | undefined): string | undefined =>
  headOf(text)?.replaceAll(/\d+/g, "N");

/** The peer has the row and we have not. */
const leftOut = (ours: string | undefined): boolean => ours === undefined;

export const DIFFERENCES: readonly Difference[] = [
  {
    file: "proc/meminfo",
    field: /^(KReclaimable|KernelStack|PageTables|SecPageTables|Percpu|VmallocUsed|Mlocked)$/,
    why: "The peer leaves the host's figure; ours is what the container was charged, 0 where the kernel does not say (v1).",
    holds: less,
    always: true,
  },
  {
    file: "proc/meminfo",
    field: /^(FileHugePages|FilePmdMapped|ShmemHugePages|HardwareCorrupted|Cma\w+)$/,
    why: "The peer leaves the host's figure; ours is the container's.",
    holds: less,
  },
  {
    file: "proc/meminfo",
    field: /^DirectMap/,
    why: "How the kernel maps the machine's RAM is no part of a container's, and would exceed its total.",
    holds: (ours) => number(ours) === 0,
    always: true,
  },
  {
    file: "proc/meminfo",
    field: /^(CommitLimit|Committed_AS)$/,
    why: "The peer leaves the host's; ours follow from the container's own total and use.",
    holds: less,
    always: true,
  },
  {
    file: "proc/meminfo",
    field: /^AnonPages$/,
    why: "The kernel's own count of anonymous pages; the peer reckons it from lists that lag behind.",
    holds: (ours, theirs) => Math.abs(number(ours) - number(theirs)) <= 1024,
  },
  {
    file: "proc/meminfo",
    field: /^(AnonHugePages|Mapped|Dirty|Writeback)$/,
    why: "The peer shows 0, for it takes the wrong line of memory.stat or none; ours is the container's figure.",
    holds: (_, theirs) => number(theirs) === 0,
  },
  {
    file: "proc/meminfo",
    field: /^(Slab|SReclaimable|SUnreclaim)$/,
    why: "The peer shows 0; ours is the kernel's memory that the cgroup was charged, which v1 does not divide further.",
    holds: (_, theirs) => number(theirs) === 0,
  },
  {
    file: "proc/swaps",
    field: /^text$/,
    why: "The kernel separates the heads of the last columns by two tabs, and so do we.",
    holds: (ours, theirs) => headOf(ours) === headOf(theirs),
    always: "v1",
  },
  {
    file: "proc/swaps",
    field: /^text$/,
    why: "On v2 the peer finds no swap; ours is what the cgroup may use.",
    on: "v2",
    holds: (ours, theirs) => headOf(ours)?.startsWith(headOf(theirs) ?? "") === true,
  },
  {
    file: "proc/meminfo",
    field: /^(SwapTotal|SwapFree)$/,
    why: "On v2 the peer finds no swap; ours is what the cgroup may use.",
    on: "v2",
    holds: (_, theirs) => number(theirs) === 0,
  },
  {
    file: "proc/swaps",
    field: /^text$/,
    why: "On v1 the peer takes the limit of memory and swap together for that of swap; ours is what of it is not memory.",
    on: "v1",
    holds: (ours, theirs) => formOf(ours) === formOf(theirs),
  },
  {
    file: "proc/meminfo",
    field: /^(SwapTotal|SwapFree)$/,
    why: "On v1 the peer takes the limit of memory and swap together for that of swap; ours is what of it is not memory.",
    on: "v1",
    holds: less,
  },
  {
    file: "proc/stat",
    field: /^cpu\d* (user|nice|system|iowait|irq|softirq|steal|guest|guest_nice)$/,
    why: "On v2 the peer shows the host's rows; ours are the container's.",
    on: "v2",
    holds: less,
  },
  {
    file: "proc/stat",
    field: /^cpu\d+ idle$/,
    why: "On v2 the peer shows the host's rows; ours are the container's life on each CPU, which may be the longer.",
    on: "v2",
  },
  {
    file: "proc/cpuinfo",
    field: /^(siblings|cpu cores) of/,
    why: "Ours count the CPUs and cores that are shown; the peer leaves the host's counts.",
    holds: less,
  },
  {
    file: "proc/stat",
    field: /^cpu\d* idle$/,
    why: "Idle time of the container's life; the peer adds up the host's since its boot.",
    holds: less,
    always: true,
  },
  {
    file: "proc/stat",
    field: /^cpu\d* (user|nice|system)$/,
    why: "Ours sum up to what the cgroup used; the peer's are sampled per CPU at each tick, which in emulation many times comes too late.",
    holds: (ours, theirs) => {
      const missed = number(ours) - number(theirs);
      return missed >= -50 && (isEmulated || missed <= 50);
    },
  },
  {
    file: "proc/stat",
    field: /^(processes|procs_running|procs_blocked)$/,
    why: "The container's own processes; the peer leaves the host's counts.",
    holds: less,
    always: true,
  },
  {
    file: "proc/uptime",
    field: /^idle$/,
    why: "Idle seconds of all the container's CPUs, as the kernel counts them; the peer takes the time of one.",
    holds: (ours, theirs) => number(ours) > number(theirs),
  },
  {
    file: "proc/uptime",
    field: /^idle$/,
    why: "On v2 the peer takes the container's whole life for idle.",
    on: "v2",
  },
  {
    file: "proc/loadavg",
    field: /^(running|threads)$/,
    why: "Counted when first asked for; the peer knows 0/1 until its first sample.",
  },
  {
    file: "proc/loadavg",
    field: /^load(1|5|15)$/,
    why: "Each samples every five seconds at moments of its own, and meets or misses the programs that the comparison runs: one at a time, for half a minute, which is a load of 0.4 at most.",
    holds: (ours, theirs) => Math.abs(number(ours) - number(theirs)) <= 0.4,
  },
  {
    file: "proc/loadavg",
    field: /^lastPid$/,
    why: "The container's youngest pid, in its own pid namespace; the peer shows a host pid.",
    holds: less,
    always: true,
  },
  {
    file: "proc/diskstats",
    field: /./,
    why: "Only disks that the container has used, with its own I/O; the peer falls back to the host's file.",
    holds: (ours, theirs) => leftOut(ours) || less(ours, theirs),
    always: true,
  },
  {
    file: "proc/slabinfo",
    field: /^text$/,
    why: "The peer hands the host's table to everybody, which the kernel keeps for root; ours has its head only.",
    holds: (ours, theirs) => ours !== "" && theirs?.startsWith(ours ?? "") === true,
  },
];
