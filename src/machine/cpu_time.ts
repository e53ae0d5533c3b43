/**
 * How long each of the container's CPUs was busy and idle: the rows of /proc/stat, and the idle time
 * of /proc/uptime.
 *
 * Busy time is the cgroup's own account. v1 keeps it by CPU (`cpuacct.usage_all`): a container whose
 * CPUs stand for CPUs of the host gets each one's. v2 keeps one sum (`cpu.stat`), which is spread
 * evenly over the CPUs; so is the time of CPUs that were taken away since the last look.
 * Idle is what is left of the time that the CPU has been the container's.
 *
 * Rows never go backwards. When CPUs are taken away, what their rows had counted goes to the rows
 * that stay, so that the sum goes on; a CPU that comes (back) counts from 0, as one that the kernel
 * brings online.
 */
import type { CpuTimes } from "../cgroup/types.ts";
import { ROW, rowStart, SLOT } from "./history.ts";
import type { Topology } from "./topology.ts";

/** Time of one CPU since the container has it, in microseconds. */
export interface CpuRow {
  readonly userUs: number;
  readonly niceUs: number;
  readonly systemUs: number;
  readonly idleUs: number;
}

/** The moment and the counters that rows are advanced to. */
export interface CpuAccount {
  readonly boottimeUs: number;
  /** How long the container has been running. */
  readonly ageUs: number;
  readonly times: CpuTimes;
}

/**
 * Brings the container's rows up to date and returns them, one for each CPU of `topology`.
 *
 * @param slot the container's history, locked; CPUs beyond its room are not counted
 */
export function advanceCpuRows(
  slot: Float64Array,
  topology: Topology,
  account: CpuAccount,
): CpuRow[] {
  const room = Math.floor((slot.length - SLOT.rows) / 8);
  const count = Math.min(topology.hostCpus.length, room);
  if (slot[SLOT.boottimeUs] === 0) start(slot, count, topology, account);
  else {
    if (get(slot, SLOT.cpuCount) > count) fold(slot, count);
    // Another thread may have come by with a later account: then this one has nothing to add.
    if (account.boottimeUs > get(slot, SLOT.boottimeUs)) advance(slot, count, topology, account);
    slot[SLOT.cpuCount] = count;
  }
  const rows: CpuRow[] = [];
  for (let cpu = 0; cpu < count; cpu++) {
    const row = rowStart(cpu);
    rows.push({
      userUs: get(slot, row + ROW.userUs),
      niceUs: get(slot, row + ROW.niceUs),
      systemUs: get(slot, row + ROW.systemUs),
      idleUs: get(slot, row + ROW.idleUs),
    });
  }
  return rows;
}

/** The first look: all that the cgroup has used so far, in the time since the container's start. */
function start(slot: Float64Array, count: number, topology: Topology, account: CpuAccount): void {
  clearRows(slot, 0, count);
  addBusy(slot, count, topology, account.times);
  for (let cpu = 0; cpu < count; cpu++) {
    const row = rowStart(cpu);
    // A cgroup older than its first process has used more than that one's age: then it was never idle.
    slot[row + ROW.elapsedUs] = Math.max(account.ageUs, busyUs(slot, row));
    settleIdle(slot, row);
  }
  slot[SLOT.boottimeUs] = account.boottimeUs;
  slot[SLOT.cpuCount] = count;
}

function advance(slot: Float64Array, count: number, topology: Topology, account: CpuAccount): void {
  const elapsedUs = account.boottimeUs - get(slot, SLOT.boottimeUs);
  clearRows(slot, get(slot, SLOT.cpuCount), count);
  addBusy(slot, count, topology, account.times);
  for (let cpu = 0; cpu < count; cpu++) {
    const row = rowStart(cpu);
    add(slot, row + ROW.elapsedUs, elapsedUs);
    settleIdle(slot, row);
  }
  slot[SLOT.boottimeUs] = account.boottimeUs;
}

/** Adds what was used since the last look: by CPU where the kernel tells, the rest in equal parts. */
function addBusy(slot: Float64Array, count: number, topology: Topology, times: CpuTimes): void {
  const niceUs = sinceSeen(slot, SLOT.niceUs, times.niceUs);
  let userUs = Math.max(0, sinceSeen(slot, SLOT.userUs, times.userUs) - niceUs);
  let systemUs = sinceSeen(slot, SLOT.systemUs, times.systemUs);
  if (times.perCpu !== undefined && topology.pinned) {
    for (let cpu = 0; cpu < count; cpu++) {
      const row = rowStart(cpu);
      const hostCpu = topology.hostCpus[cpu] ?? 0;
      const used = times.perCpu.get(hostCpu);
      if (used === undefined) continue;
      // 1 is added so that an empty row (0) is not taken for the host's CPU 0.
      const first = slot[SLOT.boottimeUs] === 0;
      const known = first || get(slot, row + ROW.hostCpu) === hostCpu + 1;
      const rowUserUs = known ? grownSince(slot, row + ROW.seenUserUs, used.userUs, userUs) : 0;
      const rowSystemUs = known
        ? grownSince(slot, row + ROW.seenSystemUs, used.systemUs, systemUs)
        : 0;
      slot[row + ROW.hostCpu] = hostCpu + 1;
      slot[row + ROW.seenUserUs] = used.userUs;
      slot[row + ROW.seenSystemUs] = used.systemUs;
      add(slot, row + ROW.userUs, rowUserUs);
      add(slot, row + ROW.systemUs, rowSystemUs);
      userUs -= rowUserUs;
      systemUs -= rowSystemUs;
    }
  }
  for (let cpu = 0; cpu < count; cpu++) {
    const row = rowStart(cpu);
    add(slot, row + ROW.userUs, userUs / count);
    add(slot, row + ROW.niceUs, niceUs / count);
    add(slot, row + ROW.systemUs, systemUs / count);
  }
}

/** How much a counter grew since it was last seen; 0 if the kernel set it back. */
function sinceSeen(slot: Float64Array, field: number, value: number): number {
  const grown = Math.max(0, value - get(slot, field));
  slot[field] = value;
  return grown;
}

function grownSince(slot: Float64Array, field: number, value: number, atMost: number): number {
  return Math.min(Math.max(0, value - get(slot, field)), Math.max(0, atMost));
}

/** Idle is what is left, but what was once called idle stays so: counters do not go back. */
function settleIdle(slot: Float64Array, row: number): void {
  const idleUs = get(slot, row + ROW.elapsedUs) - busyUs(slot, row);
  slot[row + ROW.idleUs] = Math.max(get(slot, row + ROW.idleUs), idleUs);
}

function busyUs(slot: Float64Array, row: number): number {
  return get(slot, row + ROW.userUs) + get(slot, row + ROW.niceUs) + get(slot, row + ROW.systemUs);
}

/** The rows from `count` on leave; what they counted goes to those that stay, in equal parts. */
function fold(slot: Float64Array, count: number): void {
  const before = get(slot, SLOT.cpuCount);
  for (let field: number = ROW.userUs; field <= ROW.elapsedUs; field++) {
    let leaving = 0;
    for (let cpu = count; cpu < before; cpu++) leaving += get(slot, rowStart(cpu) + field);
    for (let cpu = 0; cpu < count; cpu++) add(slot, rowStart(cpu) + field, leaving / count);
  }
  slot[SLOT.cpuCount] = count;
}

function clearRows(slot: Float64Array, from: number, to: number): void {
  if (to > from) slot.fill(0, rowStart(from), rowStart(to));
}

function get(slot: Float64Array, index: number): number {
  return slot[index] ?? 0;
}

function add(slot: Float64Array, index: number, value: number): void {
  slot[index] = get(slot, index) + value;
}
