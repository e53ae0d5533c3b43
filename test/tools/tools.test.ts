/** The tools people use, run inside a container: they find the container, not the host. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { Container } from "../support/container.ts";
import { Lab, whyNoMounts } from "../support/lab.ts";
import { installed, run } from "../support/run.ts";
import { terminal } from "../support/terminal.ts";

const MEMORY_MIB = 512;

/** Skips with the reason where `program` is missing; tools/setup-debian.sh installs them all. */
function needs(...programs: string[]): { skip: string | false } {
  const missing = programs.find((program) => !installed(program));
  return { skip: missing === undefined ? false : `${missing} is not installed` };
}

void describe("tools in a container of 512 MiB and one CPU", { skip: whyNoMounts() }, () => {
  let lab: Lab;
  let container: Container;
  let startedMs = 0;
  before(async () => {
    lab = await Lab.open();
    startedMs = Date.now();
    const limits = { memoryBytes: MEMORY_MIB << 20, cpuset: "0" };
    container = await lab.container({ limits });
  });
  after(async () => await lab?.close());

  void test("free", needs("free"), () => {
    const [, memory = ""] = container.exec(["free", "-b"]).split("\n");
    const [, total = 0, used = 0, free = 0, shared = 0, cache = 0, available = 0] = memory
      .split(/\s+/)
      .map(Number);
    assert.equal(total, MEMORY_MIB << 20);
    // What an idle container uses is little, nearly all is free, and the columns belong together.
    assert.ok(used > 0 && used < 64 << 20, `${used} used`);
    assert.ok(free > total - (128 << 20) && free + cache <= total, `${free} free, ${cache} cached`);
    assert.ok(shared <= cache && available >= free && available <= total, memory);
  });

  void test("uptime", needs("uptime"), () => {
    assert.match(
      container.exec(["uptime"]),
      /up (0|1) min,.*load average: 0\.\d\d, 0\.\d\d, 0\.\d\d/,
    );
    const ageSeconds = (Date.now() - startedMs) / 1000;
    const since = Date.parse(`${container.exec(["env", "TZ=UTC", "uptime", "-s"]).trim()}Z`);
    assert.ok(Math.abs((Date.now() - since) / 1000 - ageSeconds) < 3, `up since ${since}`);
  });

  void test("top", needs("top"), () => {
    const text = container.exec(["top", "-b", "-n1", "-w", "120"]);
    assert.match(text, /^top - .* up (0|1) min/m);
    assert.match(text, /^MiB Mem : +512\.0 total/m);
    assert.match(text, /^ +1 root .* sleep$/m);
    // A percentage of the container's memory: a few MiB of 512, and of 24 GiB nearly nothing.
    assert.match(text, /^ +\d+ root .* (0\.[1-9]|1\.\d) +\d+:\d\d\.\d\d top$/m);
  });

  void test("top holds /proc/stat open and reads it again", needs("top"), () => {
    const text = container.exec(["top", "-b", "-n3", "-d0.3", "-w", "120"]);
    const idle = [...text.matchAll(/([\d.]+) id,/g)].map(([, percent]) => Number(percent));
    assert.equal(idle.length, 3);
    for (const percent of idle.slice(1)) assert.ok(percent > 30, `${percent}% idle`);
  });

  void test("vmstat", needs("vmstat"), () => {
    assert.match(container.exec(["vmstat", "-s"]), /^ +524288 K total memory$/m);
    const rows = container.exec(["vmstat", "-n", "1", "2"]).trim().split("\n");
    const names = rows[1]?.trim().split(/\s+/) ?? [];
    const last = rows[3]?.trim().split(/\s+/).map(Number) ?? [];
    const column = (name: string): number => last[names.indexOf(name)] ?? Number.NaN;
    assert.ok(column("id") > 50, `${column("id")}% idle in an idle container`);
    assert.ok(column("free") > 0 && column("free") <= MEMORY_MIB * 1024);
  });

  void test("mpstat", needs("mpstat"), () => {
    const text = container.exec(["mpstat", "-P", "ALL", "1", "1"]);
    assert.match(text, /\(1 CPU\)/);
    const cpus = [...text.matchAll(/^Average: +(\w+)/gm)].map(([, cpu]) => cpu);
    assert.deepEqual(cpus, ["CPU", "all", "0"]);
  });

  void test("getconf -a", needs("getconf"), () => {
    const text = container.exec(["getconf", "-a"]);
    assert.match(text, /^_NPROCESSORS_CONF\s+1$/m);
    assert.match(text, /^_NPROCESSORS_ONLN\s+1$/m);
  });

  void test("ps, where the container has a time namespace, tells how long processes run", async () => {
    // Without one the kernel counts their start times from the host's boot.
    const timed = await lab.container({ timeNamespace: true });
    await sleep(2100);
    const elapsed = Number(timed.exec(["ps", "-o", "etimes=", "-p", "1"]).trim());
    assert.ok(elapsed >= 0 && elapsed < 20, `pid 1 runs for ${elapsed} s`);
    const [uptime] = timed.read("/proc/uptime").split(" ").map(Number);
    assert.ok(uptime !== undefined && uptime >= 1 && uptime < 20, `uptime is ${uptime} s`);
  });

  void test("htop, in a terminal", needs("htop", "tmux"), async () => {
    const screen = await terminal(container, ["htop"], /\/512M/);
    assert.match(screen, /Mem\[.*\/512M\]/);
    assert.doesNotMatch(screen, /^ +1\[/m);
    assert.match(screen, /Uptime: 00:0\d:\d\d/);
    const usedMiB = Number(/Mem\[[ |]*([\d.]+)M\/512M\]/.exec(screen)?.[1]);
    assert.ok(usedMiB < 64, `${usedMiB} MiB used: ${screen}`);
    // One meter of CPUs, the first: whose number is 0 for htop, too.
    assert.match(screen, /^ +(0|CPU)\[/m);
    assert.match(screen, /Load average: 0\.\d\d 0\.\d\d 0\.\d\d/);
  });

  void test("a Node.js program", () => {
    const program = `const os = require("os"); console.log(JSON.stringify({
      total: os.totalmem(), free: os.freemem(), cpus: os.cpus().length, uptime: os.uptime() }))`;
    const said = JSON.parse(container.exec([process.execPath, "-e", program])) as {
      total: number;
      free: number;
      cpus: number;
      uptime: number;
    };
    assert.equal(said.total, MEMORY_MIB << 20);
    assert.ok(said.free > 0 && said.free < said.total);
    assert.equal(said.cpus, 1);
    assert.ok(said.uptime < 600, `uptime is ${said.uptime}`);
  });

  void test("a Java program", needs("java", "javac"), () => {
    const directory = mkdtempSync(join(tmpdir(), "lxcfs-java-"));
    try {
      const source = join(directory, "Views.java");
      writeFileSync(source, JAVA);
      run(["javac", "-d", directory, source], { timeoutMs: 120_000 });
      // With container support the JVM asks cgroups; without it, the files that are served here.
      for (const flag of ["-XX:+UseContainerSupport", "-XX:-UseContainerSupport"]) {
        const java = ["java", "-Xint", "-Xmx64m", flag, "-cp", directory, "Views"];
        const said = container.exec(java, { timeoutMs: 60_000 });
        assert.match(said, /^processors 1$/m, flag);
        assert.match(said, /^meminfo MemTotal: +524288 kB$/m, flag);
        assert.match(said, /^cpuinfo 1$/m, flag);
        if (flag.includes("+")) assert.match(said, /^memory 536870912$/m);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

const JAVA = `
import java.lang.management.ManagementFactory;
import java.nio.file.*;
public class Views {
  public static void main(String[] args) throws Exception {
    System.out.println("processors " + Runtime.getRuntime().availableProcessors());
    var os = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    System.out.println("memory " + os.getTotalMemorySize());
    System.out.println("load " + os.getCpuLoad());
    System.out.println("meminfo " + Files.readAllLines(Path.of("/proc/meminfo")).get(0));
    System.out.println("cpuinfo " + Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
      .filter(line -> line.startsWith("processor")).count());
  }
}
`;
