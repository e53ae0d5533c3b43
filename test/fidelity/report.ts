/**
 * `npm run fidelity`: known loads in one real container, once with this project's files and once with
 * those of Debian's lxcfs, and for each field what is true, what is shown, and the error.
 */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers, numbersOf, statRows } from "../support/parse.ts";
import { peerInstalled, peerVersion, type ServerKind } from "../support/server.ts";
import { countV1, Disk, whyNoDisk, whyNoIo } from "./disk.ts";
import {
  hostUptime,
  type Load,
  Loads,
  startSeconds,
  ticksOf,
  usedKib,
  usedTicks,
  whyNoLoads,
} from "./ground.ts";

const MIB = 1 << 20;
const MEMORY_MIB = 256;
const X_MIB = 48;
const BUSY_SECONDS = 10;
const LOAD_SECONDS = 30;

interface Figure {
  readonly truth: number;
  readonly shown: number;
}

/** Field -> what is true and what is shown. */
type Figures = Map<string, Figure>;

/** A line of the cgroup's memory.stat in KiB, by its v1 and v2 name. */
function statKib(container: Container, v1: string, v2: string): number {
  const file = container.cgroups.file("memory.stat");
  const fields = keyedNumbers(readFileSync(file ?? "", "utf8"));
  const value = fields.get(v1) ?? fields.get(v2);
  return value === undefined ? Number.NaN : value / 1024;
}

function meminfoOf(container: Container): (field: string) => number {
  const fields = keyedNumbers(container.read("/proc/meminfo"));
  return (field) => fields.get(field) ?? Number.NaN;
}

async function measureMemory(container: Container, loads: Loads, figures: Figures): Promise<void> {
  const held: Load[] = [];
  for (const argv of [
    ["anon", String(X_MIB)],
    ["shared", String(X_MIB)],
    ["file", `${loads.directory}/cached`, String(X_MIB)],
  ]) {
    const load = await loads.start(container, ...argv);
    await load.begin();
    held.push(load);
  }
  // The kernel sums memory.stat up every two seconds.
  await sleep(3000);
  const shown = meminfoOf(container);
  const active = statKib(container, "total_active_file", "active_file");
  const inactive = statKib(container, "total_inactive_file", "inactive_file");
  const free = MEMORY_MIB * 1024 - usedKib(container);
  const truths: Record<string, number> = {
    MemTotal: MEMORY_MIB * 1024,
    MemFree: free,
    MemAvailable: free + active + inactive,
    Cached: statKib(container, "total_cache", "file"),
    AnonPages: statKib(container, "total_rss", "anon"),
    Shmem: statKib(container, "total_shmem", "shmem"),
    Mapped: statKib(container, "total_mapped_file", "file_mapped"),
    AnonHugePages: statKib(container, "total_rss_huge", "anon_thp"),
    "Active(file)": active,
    "Inactive(file)": inactive,
  };
  for (const [field, truth] of Object.entries(truths)) {
    figures.set(`meminfo ${field} (kB)`, { truth, shown: shown(field) });
  }
  // No part of it can be more than all memory: what is, is another's.
  let beyond = 0;
  for (const field of [
    "KReclaimable",
    "Slab",
    "KernelStack",
    "PageTables",
    "Percpu",
    "DirectMap2M",
    "CommitLimit",
    "Committed_AS",
  ]) {
    // prettier-ignore
    if (shown(field) > MEMORY_MIB * 1024 * 2) beyond++;
  }
  figures.set("meminfo fields beyond the container's memory", { truth: 0, shown: beyond });
  for (const load of held) await load.stop();
}

async function measureCpu(container: Container, loads: Loads, figures: Figures): Promise<void> {
  const load = await loads.start(container, "spin", "2");
  container.read("/proc/loadavg");
  const looks = (): { ticks: { busy: number; idle: number }; used: number; seconds: number } => ({
    seconds: performance.now() / 1000,
    used: usedTicks(container),
    ticks: ticksOf(container.read("/proc/stat")),
  });
  // Of a peer that counts from its first read on, nothing is lost by it.
  looks();
  await sleep(200);
  const first = looks();
  await load.begin();
  const startMs = performance.now();
  await sleep(BUSY_SECONDS * 1000);
  const last = looks();
  const busy = last.ticks.busy - first.ticks.busy;
  const passed = (last.seconds - first.seconds) * 100 * cpus().length;
  figures.set("stat busy (ticks)", { truth: last.used - first.used, shown: busy });
  const idle = last.ticks.idle - first.ticks.idle;
  figures.set("stat busy + idle (ticks)", { truth: passed, shown: busy + idle });
  const running = statRows(container.read("/proc/stat")).get("procs_running")?.[0] ?? Number.NaN;
  // The reader is one of them.
  figures.set("stat procs_running", { truth: 3, shown: running });
  await sleep(Math.max(0, startMs + LOAD_SECONDS * 1000 - performance.now()));
  const [load1 = Number.NaN, , , , , lastPid = Number.NaN] = numbersOf(container.read("/proc/loadavg")); // prettier-ignore
  figures.set("loadavg 1 minute", { truth: 2 * (1 - Math.exp(-LOAD_SECONDS / 60)), shown: load1 });
  const youngest = Number(container.exec(["sh", "-c", "echo $$"]));
  figures.set("loadavg last pid", { truth: youngest, shown: lastPid });
  await load.stop();
}

function measureTimes(container: Container, figures: Figures): void {
  const before = hostUptime();
  const [uptime = Number.NaN, idle = Number.NaN] = numbersOf(container.read("/proc/uptime"));
  const truth = (before + hostUptime()) / 2 - startSeconds(container.initPid);
  figures.set("uptime (s)", { truth, shown: uptime });
  const idleTruth = truth * cpus().length - usedTicks(container) / 100;
  figures.set("uptime idle (s)", { truth: idleTruth, shown: idle });
}

function measurePressure(container: Container, figures: Figures): void {
  for (const resource of ["cpu", "memory", "io"]) {
    const file = container.cgroups.file(`${resource}.pressure`);
    if (file === undefined || !existsSync(`/proc/pressure/${resource}`)) continue;
    const total = (text: string): number => Number(/total=(\d+)/.exec(text)?.[1]) / 1000;
    const truth = total(readFileSync(file, "utf8"));
    const shown = total(container.read(`/proc/pressure/${resource}`));
    figures.set(`pressure ${resource} some total (ms)`, { truth, shown });
  }
}

async function measureDisk(container: Container, loads: Loads, figures: Figures): Promise<void> {
  if (whyNoDisk() !== false || whyNoIo() !== false) return;
  const disk = new Disk(loads.directory, 64);
  try {
    countV1(container, disk);
    for (const [way, mib] of [
      ["write", "24"],
      ["read", "8"],
    ] as const) {
      // prettier-ignore
      const load = await loads.start(container, way, disk.device, mib);
      await load.begin();
      await load.stop();
    }
    const name = disk.device.slice("/dev/".length);
    const rows = container.read("/proc/diskstats").trim().split("\n").filter(Boolean);
    const row =
      rows
        .find((each) => each.includes(` ${name} `))
        ?.trim()
        .split(/\s+/) ?? [];
    figures.set("diskstats sectors written", { truth: 24 * 2048, shown: Number(row[9]) });
    figures.set("diskstats sectors read", { truth: 8 * 2048, shown: Number(row[5]) });
  } finally {
    disk.detach();
  }
}

async function measure(kind: ServerKind): Promise<Figures> {
  const figures: Figures = new Map();
  const lab = await Lab.open({ kind });
  const loads = new Loads();
  try {
    const limits = { memoryBytes: MEMORY_MIB * MIB, cpuQuotaUs: 50_000 };
    const container = await lab.container({ limits });
    await measureMemory(container, loads, figures);
    await measureCpu(container, loads, figures);
    await measureDisk(container, loads, figures);
    measurePressure(container, figures);
    measureTimes(container, figures);
  } finally {
    loads.close();
    await lab.close();
  }
  return figures;
}

function errorOf(figure: Figure | undefined): string {
  if (figure === undefined) return "-";
  const { truth, shown } = figure;
  if (Number.isNaN(truth)) return "-";
  if (Number.isNaN(shown)) return "absent";
  if (truth === 0) return shown === 0 ? "0" : `+${round(shown)}`;
  return `${(((shown - truth) / truth) * 100).toFixed(1)}%`;
}

function round(value: number): string {
  return Number.isNaN(value) ? "-" : String(Math.round(value * 100) / 100);
}

function print(ours: Figures, peer: Figures | undefined): void {
  const head = ["field", "true", "shown", "error", "true", "shown", "error"];
  const rows = [...ours].map(([field, figure]) => {
    const other = peer?.get(field);
    return [
      field,
      round(figure.truth),
      round(figure.shown),
      errorOf(figure),
      other ? round(other.truth) : "-",
      other ? round(other.shown) : "-",
      errorOf(other),
    ];
  });
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join("  "); // prettier-ignore
  const name = peer === undefined ? "lxcfs (not installed)" : `lxcfs ${peerVersion()}`;
  console.log(`One container, ${MEMORY_MIB} MiB, half a CPU; this project on the left, ${name} on the right. Each measures its own run.\n`); // prettier-ignore
  for (const row of [head, ...rows]) console.log(line(row));
}

const why = whyNoMounts() || whyNoLoads();
if (why !== false) {
  console.error(`Cannot measure: ${why}`);
  process.exitCode = 1;
} else {
  const ours = await measure("ours");
  print(ours, peerInstalled() ? await measure("peer") : undefined);
}
