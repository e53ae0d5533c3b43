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

/** Two threads that read a counter at nearly the same time do not find it that far apart. */
const RESET_US = 1e6;

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
  /** `undefined` where no controller tells, or not just now: then nothing was used since. */
  readonly times: CpuTimes | undefined;
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
  if (account.times) addBusy(slot, count, topology, account.times);
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
  if (account.times) addBusy(slot, count, topology, account.times);
  for (let cpu = 0; cpu < count; cpu++) {
    const row = rowStart(cpu);
    add(slot, row + ROW.elapsedUs, elapsedUs);
    settleIdle(slot, row);
  }
  slot[SLOT.boottimeUs] = account.boottimeUs;
}

/**
 * Adds what was used since the last look: by CPU where the kernel tells, the rest in equal parts.
 * How much is told by the sum alone, so that no part of it is counted twice, whatever becomes of the
 * proportions of user and system (which are estimates of the kernel) between two looks.
 */
function addBusy(slot: Float64Array, count: number, topology: Topology, times: CpuTimes): void {
  let leftUs = grow(slot, SLOT.usageUs, times.userUs + times.systemUs);
  const systemUs = growAtMost(slot, SLOT.systemUs, times.systemUs, leftUs);
  const niceUs = growAtMost(slot, SLOT.niceUs, times.niceUs, leftUs - systemUs);
  const systemShare = leftUs > 0 ? systemUs / leftUs : 0;
  const niceShare = leftUs > 0 ? niceUs / leftUs : 0;
  if (times.perCpu !== undefined && topology.pinned) {
    for (let cpu = 0; cpu < count; cpu++) {
      const row = rowStart(cpu);
      const hostCpu = topology.hostCpus[cpu] ?? 0;
      const used = times.perCpu.get(hostCpu);
      if (used === undefined) continue;
      const usedUs = used.userUs + used.systemUs;
      // 1 is added so that an empty row (0) is not taken for the host's CPU 0.
      const known = slot[SLOT.boottimeUs] === 0 || get(slot, row + ROW.hostCpu) === hostCpu + 1;
      if (!known) {
        slot[row + ROW.seenUs] = usedUs;
        slot[row + ROW.seenSystemUs] = used.systemUs;
      }
      slot[row + ROW.hostCpu] = hostCpu + 1;
      const rowUs = Math.min(grow(slot, row + ROW.seenUs, usedUs), leftUs);
      const rowSystemUs = growAtMost(slot, row + ROW.seenSystemUs, used.systemUs, rowUs);
      const rowNiceUs = Math.min(rowUs * niceShare, rowUs - rowSystemUs);
      addRow(slot, row, rowUs, rowSystemUs, rowNiceUs);
      leftUs -= rowUs;
    }
  }
  for (let cpu = 0; cpu < count; cpu++) {
    const rowUs = leftUs / count;
    addRow(slot, rowStart(cpu), rowUs, rowUs * systemShare, rowUs * niceShare);
  }
}

function addRow(
  slot: Float64Array,
  row: number,
  usedUs: number,
  systemUs: number,
  niceUs: number,
): void {
  add(slot, row + ROW.userUs, Math.max(0, usedUs - systemUs - niceUs));
  add(slot, row + ROW.niceUs, niceUs);
  add(slot, row + ROW.systemUs, systemUs);
}

/**
 * How much a counter grew since it was last seen. One that is a little behind was read by another
 * thread a moment earlier: what is seen stays. One that is far behind was set back by the kernel
 * (v1: `echo 0 > cpuacct.usage`), and counts on from there.
 */
function grow(slot: Float64Array, field: number, value: number): number {
  const seen = get(slot, field);
  if (value >= seen) slot[field] = value;
  else if (seen - value > RESET_US) slot[field] = value;
  return Math.max(0, value - seen);
}

/** The same of a part of what was used: no more of it can be new than was used altogether. */
function growAtMost(slot: Float64Array, field: number, value: number, mostUs: number): number {
  const seen = get(slot, field);
  if (seen - value > RESET_US) slot[field] = value;
  const grown = Math.max(0, Math.min(value - seen, mostUs));
  // What did not fit is counted with the next growth.
  if (grown > 0) slot[field] = seen + grown;
  return grown;
}

/** Idle is what is left, but what was once called idle stays so: counters do not go back. */
function settleIdle(slot: Float64Array, row: number): void {
  const idleUs = get(slot, row + ROW.elapsedUs) - busyUs(slot, row);
  slot[row + ROW.idleUs] = Math.max(get(slot, row + ROW.idleUs), idleUs);
}

function busyUs(slot: Float64Array, row: number): number {
  return get(slot, row + ROW.userUs) + get(slot, row + ROW.niceUs) + get(slot, row + ROW.systemUs);
}

/**
 * The rows from `count` on leave; each gives what it counted to one of those that stay. Whole, not in
 * parts: cut off to ticks, two numbers are never more than their sum, but may be more than its parts.
 */
function fold(slot: Float64Array, count: number): void {
  const before = get(slot, SLOT.cpuCount);
  for (let cpu = count; cpu < before; cpu++) {
    const [from, to] = [rowStart(cpu), rowStart(cpu % count)];
    for (let field: number = ROW.userUs; field <= ROW.elapsedUs; field++) {
      add(slot, to + field, get(slot, from + field));
    }
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
