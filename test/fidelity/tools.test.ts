/**
 * The same container as different tools see it: free, vmstat, top and ps on its memory; vmstat,
 * mpstat, sar, top and htop on its CPUs. Each is held against the kernel's own account, taken while
 * the tool ran, so that a busy machine cannot make them differ.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { keyedNumbers, numbersOf } from "../support/parse.ts";
import { installed } from "../support/run.ts";
import { terminal } from "../support/terminal.ts";
import { type Load, Loads, usedTicks, whyNoLoads } from "./ground.ts";

const MIB = 1 << 20;
const MEMORY_MIB = 300;

/** A tool, how to ask it for two seconds, and the idle percentage it finds. */
const CPU_TOOLS: readonly {
  readonly argv: readonly string[];
  readonly idle: (text: string) => number;
}[] = [
  {
    argv: ["vmstat", "-n", "2", "2"],
    idle: (text) => {
      const [, names = "", , last = ""] = text.trim().split("\n");
      return Number(last.trim().split(/\s+/)[names.trim().split(/\s+/).indexOf("id")]);
    },
  },
  { argv: ["mpstat", "2", "1"], idle: (text) => Number(/([\d.]+)\n*$/.exec(text)?.[1]) },
  { argv: ["sar", "-u", "2", "1"], idle: (text) => Number(/([\d.]+)\n*$/.exec(text)?.[1]) },
  {
    argv: ["top", "-b", "-n2", "-d2"],
    idle: (text) => Number([...text.matchAll(/([\d.]+) id,/g)].at(-1)?.[1]),
  },
];

void describe("tools agree", { skip: whyNoMounts() || whyNoLoads() }, () => {
  let lab: Lab;
  let loads: Loads;
  let container: Container;
  let spin: Load;
  before(async () => {
    lab = await Lab.open();
    loads = new Loads();
    const limits = { memoryBytes: MEMORY_MIB * MIB, cpuset: "0", cpuQuotaUs: 60_000 };
    container = await lab.container({ limits, timeNamespace: true });
    spin = await loads.start(container, "spin", "2");
    await spin.begin();
  });
  after(async () => {
    await spin?.stop();
    loads?.close();
    await lab?.close();
  });

  /** What a tool says, and what the cgroup used meanwhile, in percent of one CPU. */
  const observe = async (
    argv: readonly string[],
  ): Promise<{ text: string; usedPercent: number }> => {
    const [program = "", ...rest] = container.command(argv);
    const tool = spawn(program, rest, {
      env: { ...process.env, LC_ALL: "C", S_TIME_FORMAT: "ISO" },
    });
    let text = "";
    tool.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const first = { ticks: usedTicks(container), ms: performance.now() };
    await new Promise((resolve) => tool.once("close", resolve));
    const ticks = usedTicks(container) - first.ticks;
    return { text, usedPercent: (ticks * 1000) / (performance.now() - first.ms) };
  };

  for (const { argv, idle } of CPU_TOOLS) {
    const [program = ""] = argv;
    const skip = installed(program) ? false : `${program} is not installed`;
    void test(`${program} finds the CPU as busy as the cgroup is`, { skip }, async () => {
      const { text, usedPercent } = await observe(argv);
      const busy = 100 - idle(text);
      assert.ok(usedPercent > 3, `the cgroup used ${usedPercent}% only`);
      // Two seconds of a tool's own are not quite the time that it ran.
      assert.ok(Math.abs(busy - usedPercent) < 12, `${busy}% busy, the cgroup ${usedPercent}%\n${text}`); // prettier-ignore
    });
  }

  void test("free, vmstat, top and meminfo give one memory", () => {
    const meminfo = keyedNumbers(container.read("/proc/meminfo"));
    const near = (actual: number | undefined, field: string, what: string): void => {
      const expected = meminfo.get(field) ?? Number.NaN;
      // Each program's own memory is in there as well.
      assert.ok(Math.abs((actual ?? Number.NaN) - expected) < 4096, `${what}: ${actual}, ${expected}`); // prettier-ignore
    };
    assert.equal(meminfo.get("MemTotal"), MEMORY_MIB * 1024);
    const [, row = ""] = container.exec(["free", "-k"]).split("\n");
    const [, total, , free, shared, , available] = row.split(/\s+/).map(Number);
    assert.equal(total, MEMORY_MIB * 1024);
    near(free, "MemFree", "free's free");
    near(shared, "Shmem", "free's shared");
    near(available, "MemAvailable", "free's available");
    const statistics = container.exec(["vmstat", "-s"]);
    const of = (name: string): number => Number(new RegExp(`^ *(\\d+) K ${name}$`, "m").exec(statistics)?.[1]); // prettier-ignore
    assert.equal(of("total memory"), MEMORY_MIB * 1024);
    near(of("free memory"), "MemFree", "vmstat's free");
    near(of("active memory"), "Active", "vmstat's active");
    const top = container.exec(["top", "-b", "-n1", "-E", "k"]);
    const [, topTotal, topFree] = /^KiB Mem : +([\d.]+) total, +([\d.]+) free/m.exec(top) ?? [];
    assert.equal(Number(topTotal), MEMORY_MIB * 1024);
    near(Number(topFree), "MemFree", "top's free");
    const percents = container.exec(["ps", "-eo", "pmem,rss,comm"]).trim().split("\n").slice(1);
    for (const line of percents) {
      const [percent = 0, rss = 0] = line.trim().split(/\s+/).map(Number);
      assert.ok(Math.abs(percent - (rss * 100) / (MEMORY_MIB * 1024)) <= 0.11, line);
    }
  });

  void test("sar and htop give the same memory, CPUs, load and time", async () => {
    const fields = keyedNumbers(container.read("/proc/meminfo"));
    const sar = container.exec(["env", "LC_ALL=C", "sar", "-r", "-q", "1", "1"]);
    const averages = (head: string): Map<string, number> => {
      const names = new RegExp(`^\\S+ +(?:[AP]M +)?(${head}.*)$`, "m").exec(sar)?.[1]?.trim().split(/\s+/) ?? []; // prettier-ignore
      const lines = sar.split("\n").filter((line) => /^Average: +\d/.test(line));
      const row = lines.find((line) => line.trim().split(/\s+/).length === names.length + 1); // prettier-ignore
      const values = row?.trim().split(/\s+/).slice(1).map(Number) ?? [];
      return new Map(names.map((name, index) => [name, values[index] ?? Number.NaN]));
    };
    const memory = averages("kbmemfree");
    for (const [name, field] of [
      ["kbmemfree", "MemFree"],
      ["kbavail", "MemAvailable"],
      ["kbcached", "Cached"],
      ["kbactive", "Active"],
    ] as const) {
      const off = Math.abs((memory.get(name) ?? Number.NaN) - (fields.get(field) ?? Number.NaN));
      assert.ok(off < 4096, `sar's ${name} ${memory.get(name)}, ${field} ${fields.get(field)}\n${sar}`); // prettier-ignore
    }
    const load = averages("runq-sz");
    const [load1 = 0] = numbersOf(container.read("/proc/loadavg"));
    assert.ok(Math.abs((load.get("ldavg-1") ?? Number.NaN) - load1) < 0.3, sar);
    // Two threads that never rest.
    assert.ok((load.get("runq-sz") ?? 0) >= 2 && (load.get("runq-sz") ?? 9) <= 4, sar);
    if (!installed("htop") || !installed("tmux")) return;
    const screen = await terminal(container, ["htop", "--delay=10"], /Mem\[.*\/300M\]/);
    assert.doesNotMatch(screen, /^ +1\[/m, "one CPU, which has the number 0");
    const [, used = "", unit = ""] = /Mem\[[| ]*([\d.]+)([KMG])\/300M\]/.exec(screen) ?? [];
    const [, row = ""] = container.exec(["free", "-m"]).split("\n");
    const usedMib = Number(used) / (unit === "K" ? 1024 : 1);
    // htop takes what can be reclaimed of the kernel's memory for cache, and its own is in there.
    assert.ok(Math.abs(usedMib - Number(row.split(/\s+/)[2])) < 12, `${screen}\n${row}`);
    const loads = /Load average: ([\d.]+)/.exec(screen);
    assert.ok(Math.abs(Number(loads?.[1]) - load1) < 0.5, screen);
    assert.match(screen, /Uptime: 00:\d\d:\d\d/);
    const tasks = /Tasks: (\d+)(?:, (\d+) thr)?/.exec(screen);
    const listed = container.exec(["ps", "-e", "--no-headers"]).trim().split("\n").length;
    assert.ok(Math.abs(Number(tasks?.[1]) - listed) <= 2, `${screen}\nps lists ${listed}`);
  });

  void test("ps, top and uptime give sane times in a time namespace", () => {
    for (const line of container.exec(["ps", "aux"]).trim().split("\n").slice(1)) {
      const percent = Number(line.split(/\s+/)[2]);
      assert.ok(percent >= 0 && percent <= 200, line);
    }
    const rows = container.exec(["ps", "-eo", "etimes,comm"]).trim().split("\n").slice(1);
    const [uptime = 0] = numbersOf(container.read("/proc/uptime"));
    for (const row of rows) {
      const [seconds = -1] = row.trim().split(/\s+/).map(Number);
      assert.ok(seconds >= 0 && seconds <= uptime + 1, `${row}: up ${uptime} s`);
    }
    assert.match(container.exec(["uptime"]), /up \d+ min/);
  });

  void test("the load average is the same in uptime, top and the file", () => {
    const [load1 = 0] = numbersOf(container.read("/proc/loadavg"));
    for (const argv of [["uptime"], ["top", "-b", "-n1"]]) {
      const shown = Number(/load average: ([\d.]+),/.exec(container.exec(argv))?.[1]);
      assert.ok(Math.abs(shown - load1) < 0.3, `${argv[0]}: ${shown}, the file ${load1}`);
    }
  });
});
