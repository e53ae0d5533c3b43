/**
 * Makes a machine with hundreds of CPUs out of an unpacked captured tree, by repeating the CPUs
 * that it has: /proc/stat, /proc/cpuinfo, the CPU directories and lists of /sys, and the effective
 * cpuset of the captured container and of all cgroups above it.
 */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseCpuinfo } from "../src/host/cpuinfo.ts";
import { parseStat } from "../src/host/stat.ts";

const CPU_LISTS = ["online", "present", "possible"];
const EFFECTIVE = /^(?:cpuset\.cpus\.effective|cpuset\.effective_cpus)$/;

const CPU_DIRECTORY = "/sys/devices/system/cpu";

/** The directories of each CPU, which are many files: apart, for those who read them. */
export function withManyCpuDirectories(root: string, count: number): void {
  const cpuDirectory = root + CPU_DIRECTORY;
  const captured = readdirSync(cpuDirectory).filter((name) => /^cpu\d+$/.test(name)).length;
  for (let cpu = captured; cpu < count; cpu++) {
    cpSync(`${cpuDirectory}/cpu${cpu % captured}`, `${cpuDirectory}/cpu${cpu}`, {
      recursive: true,
    });
  }
}

/** Changes the tree below `root`, which must be a copy: everything but the CPUs' directories. */
export function withManyCpus(root: string, count: number): void {
  const all = `0-${count - 1}\n`;
  const cpuDirectory = root + CPU_DIRECTORY;
  for (const name of CPU_LISTS) writeFileSync(`${cpuDirectory}/${name}`, all);
  const node = `${root}/sys/devices/system/node/node0/cpulist`;
  if (existsSync(node)) writeFileSync(node, all);
  writeFileSync(
    `${root}/proc/cpuinfo`,
    repeatCpuinfo(readFileSync(`${root}/proc/cpuinfo`, "latin1"), count),
  );
  writeFileSync(
    `${root}/proc/stat`,
    repeatStat(readFileSync(`${root}/proc/stat`, "latin1"), count),
  );
  for (const entry of readdirSync(`${root}/sys/fs/cgroup`, { recursive: true })) {
    const path = String(entry);
    if (EFFECTIVE.test(path.slice(path.lastIndexOf("/") + 1))) {
      writeFileSync(`${root}/sys/fs/cgroup/${path}`, all);
    }
  }
}

function repeatCpuinfo(text: string, count: number): string {
  const { header, blocks, trailer } = parseCpuinfo(text);
  let repeated = header;
  for (let cpu = 0; cpu < count; cpu++) {
    const block = blocks[cpu % blocks.length];
    if (block) repeated += block.before + cpu + block.after;
  }
  return repeated + trailer;
}

function repeatStat(text: string, count: number): string {
  const { cpus, rest } = parseStat(text);
  const rows = Array.from({ length: count }, (_, cpu) => cpus[cpu % cpus.length]?.ticks ?? []);
  const sum = (rows[0] ?? []).map((_, column) =>
    rows.reduce((total, row) => total + (row[column] ?? 0), 0),
  );
  const lines = rows.map((row, cpu) => `cpu${cpu} ${row.join(" ")}\n`);
  return `cpu  ${sum.join(" ")}\n${lines.join("")}${rest}`;
}
