/**
 * Fields of memory that the page calls exact, beside the lines of the container's own memory.stat that
 * the page names, read just before and just after: on one kernel with v1's names, on another with v2's.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers } from "../support/parse.ts";
import { type Load, Loads, ownFile, whyNoLoads } from "./ground.ts";

const MIB = 1 << 20;
const PAGE = 4096;
const HUGE_PAGE = 2 * MIB;

/** Fields of meminfo and the line of memory.stat that says the same: v1's name, v2's. */
const MEMINFO: Readonly<Record<string, readonly [string, string]>> = {
  AnonPages: ["total_rss", "anon"],
  Cached: ["total_cache", "file"],
  Shmem: ["total_shmem", "shmem"],
  Mapped: ["total_mapped_file", "file_mapped"],
  Dirty: ["total_dirty", "file_dirty"],
  Writeback: ["total_writeback", "file_writeback"],
  "Active(anon)": ["total_active_anon", "active_anon"],
  "Inactive(anon)": ["total_inactive_anon", "inactive_anon"],
  "Active(file)": ["total_active_file", "active_file"],
  "Inactive(file)": ["total_inactive_file", "inactive_file"],
  Unevictable: ["total_unevictable", "unevictable"],
  AnonHugePages: ["total_rss_huge", "anon_thp"],
  SwapCached: ["total_swapcached", "swapcached"],
  KReclaimable: ["", "slab_reclaimable"],
  SReclaimable: ["", "slab_reclaimable"],
  SUnreclaim: ["kernel", "slab_unreclaimable"],
  KernelStack: ["", "kernel_stack"],
  PageTables: ["", "pagetables"],
  SecPageTables: ["", "sec_pagetables"],
  Percpu: ["", "percpu"],
  VmallocUsed: ["", "vmalloc"],
  ShmemHugePages: ["", "shmem_thp"],
  FileHugePages: ["", "file_thp"],
  Zswap: ["", "zswap"],
  Zswapped: ["", "zswapped"],
};

/** Amounts of vmstat, in pages, likewise. */
const VMSTAT: Readonly<Record<string, readonly [string, string, number]>> = {
  nr_anon_pages: ["total_rss", "anon", PAGE],
  nr_mapped: ["total_mapped_file", "file_mapped", PAGE],
  nr_shmem: ["total_shmem", "shmem", PAGE],
  nr_dirty: ["total_dirty", "file_dirty", PAGE],
  nr_writeback: ["total_writeback", "file_writeback", PAGE],
  nr_inactive_anon: ["total_inactive_anon", "inactive_anon", PAGE],
  nr_active_anon: ["total_active_anon", "active_anon", PAGE],
  nr_inactive_file: ["total_inactive_file", "inactive_file", PAGE],
  nr_active_file: ["total_active_file", "active_file", PAGE],
  nr_slab_reclaimable: ["", "slab_reclaimable", PAGE],
  nr_page_table_pages: ["", "pagetables", PAGE],
  nr_anon_transparent_hugepages: ["total_rss_huge", "anon_thp", HUGE_PAGE],
  nr_kernel_stack: ["", "kernel_stack", 1024],
};

/** Lines of vmstat that have other meanings than those of v1's memory.stat with the same names. */
const OTHERS = new Set(["pgpgin", "pgpgout"]);

void describe("exact fields", { skip: whyNoMounts() || whyNoLoads() }, () => {
  let lab: Lab;
  let loads: Loads;
  let container: Container;
  const held: Load[] = [];
  before(async () => {
    lab = await Lab.open();
    loads = new Loads();
    container = await lab.container({ limits: { memoryBytes: 256 * MIB } });
    for (const argv of [
      ["anon", "24"],
      ["shared", "16"],
      ["file", join(loads.directory, "cached"), "20"],
      ["sleep", "20", "0"],
    ]) {
      const load = await loads.start(container, ...argv);
      await load.begin();
      held.push(load);
    }
    // The kernel sums memory.stat up every two seconds.
    await sleep(2500);
  });
  after(async () => {
    for (const load of held) await load.stop();
    loads?.close();
    await lab?.close();
  });

  const isV1 = (): boolean => container.cgroups.file("memory.usage_in_bytes") !== undefined;

  /** memory.stat, and v1's sum of the kernel's memory. */
  const account = (): Map<string, number> => {
    const text = readFileSync(container.cgroups.file("memory.stat") ?? "", "utf8");
    const lines = keyedNumbers(text);
    const kernel = container.cgroups.file("memory.kmem.usage_in_bytes");
    if (kernel !== undefined) lines.set("kernel", Number(readFileSync(kernel, "utf8")));
    return lines;
  };

  /** A text, with the account before and after; once more where that has moved meanwhile. */
  const look = async (path: string): Promise<[Map<string, number>, Map<string, number>[]]> => {
    for (let attempt = 1; ; attempt++) {
      const first = account();
      const shown = keyedNumbers(ownFile(lab.server.mountpoint, container, path));
      const last = account();
      const moved = [...first].some(([name, value]) => last.get(name) !== value);
      if (!moved || attempt === 10) return [shown, [first, last]];
      await sleep(300);
    }
  };

  /** Whether a shown amount is one that the account had before or after, or one between. */
  const check = (
    field: string,
    shown: number | undefined,
    accounts: readonly Map<string, number>[],
    line: string,
    unit: number,
  ): string[] => {
    // A line that this kernel's account has not is shown as 0; so is a field that only v2 has.
    const values = accounts.map((each) => Math.floor((each.get(line) ?? 0) / unit));
    if (shown === undefined) return [];
    const right = shown >= Math.min(...values) && shown <= Math.max(...values);
    return right ? [] : [`${field} is ${shown}, ${line || "no line"} ${values.join(" and ")}`];
  };

  void test("meminfo", async () => {
    const [shown, accounts] = await look("proc/meminfo");
    const wrong = Object.entries(MEMINFO).flatMap(([field, [v1, v2]]) =>
      check(field, shown.get(field), accounts, isV1() ? v1 : v2, 1024),
    );
    assert.deepEqual(wrong, []);
    for (const field of ["AnonPages", "Cached", "Shmem"]) {
      assert.ok((shown.get(field) ?? 0) >= 15 * 1024, `${field} ${shown.get(field)}`);
    }
  });

  void test("vmstat: amounts, and every event that the cgroup counts", async () => {
    const [shown, accounts] = await look("proc/vmstat");
    const wrong = Object.entries(VMSTAT).flatMap(([field, [v1, v2, unit]]) =>
      check(field, shown.get(field), accounts, isV1() ? v1 : v2, unit),
    );
    const prefix = isV1() ? "total_" : "";
    let events = 0;
    for (const [name, value] of shown) {
      const line = `${prefix}${name}`;
      if (OTHERS.has(name) || accounts[0]?.has(line) !== true) continue;
      events++;
      wrong.push(...check(name, value, accounts, line, 1));
    }
    assert.deepEqual(wrong, []);
    assert.ok(events >= 2, `${events} events`);
    // Each page that was written for the first time was a fault, but for huge ones.
    assert.ok((shown.get("pgfault") ?? 0) > 1000, `${shown.get("pgfault")} faults`);
  });

  void test("nodes: all together, and each as the cgroup counts it", async () => {
    const nodes = "/sys/devices/system/node";
    if (!existsSync(`${nodes}/online`)) return;
    const [meminfo] = await look("proc/meminfo");
    const online = ownFile(lab.server.mountpoint, container, "sys/devices/system/node/online");
    const sums = new Map<string, number>();
    const numa = readFileSync(container.cgroups.file("memory.numa_stat") ?? "", "utf8");
    const [first = 0, last = first] = online.trim().split("-").map(Number);
    for (let node = first; node <= last; node++) {
      const text = ownFile(lab.server.mountpoint, container, `sys/devices/system/node/node${node}/meminfo`); // prettier-ignore
      const own = keyedNumbers(text.replaceAll(`Node ${node} `, ""));
      for (const [name, value] of own) sums.set(name, (sums.get(name) ?? 0) + value);
      const counted = isV1()
        ? new RegExp(`^hierarchical_anon=.* N${node}=(\\d+)`, "m").exec(numa)?.[1]
        : new RegExp(`^anon .*\\bN${node}=(\\d+)`, "m").exec(numa)?.[1];
      const kib = isV1() ? Number(counted) * 4 : Number(counted) / 1024;
      // v1 counts lists of pages here, in which shared memory is as well.
      const field = isV1() ? "Active(anon)" : "AnonPages";
      const value = (own.get(field) ?? 0) + (isV1() ? (own.get("Inactive(anon)") ?? 0) : 0);
      assert.ok(Math.abs(value - kib) <= 1024, `node ${node}: ${value}, ${kib} kB`);
    }
    for (const field of ["MemTotal", "MemFree", "AnonPages", "Shmem", "Active(file)"]) {
      const off = Math.abs((sums.get(field) ?? Number.NaN) - (meminfo.get(field) ?? Number.NaN));
      assert.ok(off <= 1024, `${field}: ${sums.get(field)} of nodes, ${meminfo.get(field)}`);
    }
  });
});
