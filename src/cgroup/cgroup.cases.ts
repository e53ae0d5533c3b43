/**
 * What every version of cgroups must give alike: one set of cases, run on each captured tree (see
 * fixtures/README.md for what is in them) with what that tree cannot tell as named exceptions.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, test, type TestContext } from "node:test";
import {
  EXPECTED,
  GROUPS,
  LOAD_ANON_BYTES,
  LOAD_DIRECT_BYTES,
  LOAD_FILE_BYTES,
  TOP,
} from "../../tools/capture/plan.ts";
import { type Fixture, unpackFixture } from "../../tools/fixture.ts";
import { withManyCpus } from "../../tools/many_cpus.ts";
import { readOnlineCpus } from "../host/cpus.ts";
import { openContainerCgroups } from "./container.ts";
import { hierarchyOf } from "./layout.ts";
import { cgroupDirectory } from "./paths.ts";
import type { CgroupPaths, ContainerCgroups } from "./types.ts";

/** What a tree cannot tell, and why: the reason is printed with the skipped case. */
export type Exceptions = Readonly<Record<string, string>>;

const MIB = 1 << 20;

/** Registers all cases for one captured tree. */
export function cgroupCases(fixtureName: string, exceptions: Exceptions = {}): void {
  const known = new Set<string>();
  let shared: Machine | undefined;
  const register = (name: string, body: (t: TestContext) => void): void => {
    known.add(name);
    test(`${fixtureName}: ${name}`, { skip: exceptions[name] ?? false }, body);
  };
  /** A case that only reads. */
  const run = (name: string, body: (machine: Machine) => void): void => {
    register(name, () => body((shared ??= unpack())));
  };
  /** A case that changes the tree: it gets its own. */
  const runChanging = (name: string, body: (machine: Machine) => void): void => {
    register(name, (t) => {
      const machine = unpack();
      t.after(() => machine.remove());
      body(machine);
    });
  };
  const unpack = (): Machine => new Machine(unpackFixture(fixtureName, isRead));
  after(() => shared?.remove());

  run("memory limit is the tightest of all levels", ({ load }) => {
    const memory = load.memory();
    assert.equal(memory?.limit.value, EXPECTED.memoryBytes);
    assert.match(memory.limit.file ?? "", new RegExp(`/${TOP}/${EXPECTED.memoryPath}/memory\\.`));
    assert.ok(memory.limit.levels >= 5);
  });

  run("memory of the load is accounted by kind", ({ load }) => {
    const memory = load.memory();
    assert.ok(memory);
    const { stat, usageBytes } = memory;
    between(stat.anon, LOAD_ANON_BYTES, LOAD_ANON_BYTES + 40 * MIB);
    between(stat.file, LOAD_FILE_BYTES, LOAD_FILE_BYTES + 80 * MIB);
    between(stat.kernel, 1, 16 * MIB);
    assert.equal(stat.shmem, 0);
    // The counters are flushed at different moments: near, not equal.
    between(usageBytes, stat.anon + stat.file, stat.anon + stat.file + 16 * MIB);
    between(stat.activeAnon + stat.inactiveAnon, stat.anon - MIB, stat.anon + MIB);
    between(stat.activeFile + stat.inactiveFile, stat.file - MIB, stat.file + MIB);
    assert.ok((stat.events.get("pgfault") ?? 0) > 1000);
    assert.ok(!stat.events.has("anon") && !stat.events.has("rss"));
  });

  runChanging("names that begin alike are not mixed up", ({ load, edit }) => {
    edit("memory", "memory.stat", (text) =>
      text
        .replace(/^(file_mapped|total_mapped_file) .*$/m, "$1 4096")
        .replace(/^(anon_thp|total_rss_huge) .*$/m, "$1 2097152"),
    );
    const stat = load.memory()?.stat;
    assert.equal(stat?.fileMapped, 4096);
    assert.equal(stat.anonThp, 2 * MIB);
    assert.ok(stat.anon >= LOAD_ANON_BYTES);
    assert.ok(stat.file >= LOAD_FILE_BYTES);
  });

  runChanging("limits are followed live", ({ load, edit, mode }) => {
    load.memory();
    edit("memory", mode === "v2" ? "memory.max" : "memory.limit_in_bytes", () => `${64 * MIB}\n`);
    edit("memory", "memory.stat", (text) =>
      text.replace(/^hierarchical_memory_limit .*$/m, `hierarchical_memory_limit ${64 * MIB}`),
    );
    const limit = load.memory()?.limit;
    assert.equal(limit?.value, 64 * MIB);
    assert.match(limit.file ?? "", /\/leaf\/memory\./);
  });

  run("no limit is Infinity", (machine) => {
    const memory = machine.open("/").memory();
    assert.equal(memory?.limit.value, Infinity);
    assert.equal(memory.limit.file, undefined);
    assert.equal(memory.swapLimit.value, Infinity);
  });

  run("swap limit is the tightest of all levels", ({ load, mode }) => {
    const memory = load.memory();
    assert.equal(memory?.swapAccounted, true);
    // v1 limits the sum: 400 + 256 MiB against 900 + 64 MiB.
    const expected = mode === "v2" ? EXPECTED.swapBytes : 256 * MIB;
    assert.equal(memory.swapLimit.value, expected);
    assert.equal(memory.swapUsageBytes, 0);
  });

  run("memory by node adds up to memory", ({ load }) => {
    const numa = load.numa();
    const memory = load.memory();
    assert.ok(numa && memory);
    let anon = 0;
    for (const values of numa.values()) anon += values["anon"] ?? values["lru_anon"] ?? 0;
    between(anon, memory.stat.anon - 2 * MIB, memory.stat.anon + 2 * MIB);
  });

  run("quota is the tightest ratio of all levels", ({ load }) => {
    const quota = load.quota();
    assert.equal(quota.cpus, EXPECTED.quotaCpus);
    assert.deepEqual([quota.quotaUs, quota.periodUs], [25_000, 50_000]);
    assert.match(quota.file ?? "", new RegExp(`/${TOP}/${EXPECTED.quotaPath}/cpu\\.`));
  });

  run("CPU time of the load", ({ load, mode }) => {
    const times = load.cpuTimes();
    assert.ok(times);
    between(times.usageUs, 200_000, 60_000_000);
    between(times.userUs + times.systemUs, times.usageUs - 1000, times.usageUs + 1000);
    if (mode === "v2") return assert.equal(times.perCpu, undefined);
    let sum = 0;
    for (const { userUs, systemUs } of times.perCpu?.values() ?? []) sum += userUs + systemUs;
    assert.equal(sum, times.usageUs);
  });

  run("the effective cpuset is inherited", (machine) => {
    const cpus = machine.onlineCpus;
    const last = cpus.at(-1);
    assert.deepEqual(machine.load.cpuset(), [last]);
    assert.deepEqual(machine.load.memoryNodes(), [0]);
    const outer = GROUPS.find((group) => group.path === "outer")?.cpus?.(cpus.length);
    assert.deepEqual(
      machine.open(`/${TOP}/outer`).cpuset(),
      outer === "0,2-3" ? [0, 2, 3] : [0, 1],
    );
  });

  runChanging("hundreds of CPUs", (machine) => {
    withManyCpus(machine.fixture.root, 700);
    assert.equal(machine.load.cpuset()?.length, 700);
    assert.equal(machine.load.cpuset()?.at(-1), 699);
  });

  run("block I/O of the load", ({ load }) => {
    const io = load.io();
    assert.ok(io);
    const written = io.reduce((sum, device) => sum + device.writeBytes, 0);
    const least = LOAD_DIRECT_BYTES + LOAD_FILE_BYTES;
    between(written, least, least + 2 * MIB);
    assert.ok(io.every((device) => device.writeBytes === 0 || device.writeIos > 0));
  });

  run("pressure is the own cgroup's, verbatim", ({ load }) => {
    for (const resource of ["cpu", "memory", "io"] as const) {
      assert.match(load.pressure(resource) ?? "", /^some avg10=.*\nfull avg10=/);
      assert.match(load.pressureFile(resource) ?? "", new RegExp(`/leaf/${resource}\\.pressure$`));
    }
  });

  run("processes at all depths", (machine) => {
    const own = machine.load.processes();
    assert.equal(own.length, 3);
    assert.ok(own.includes(machine.fixture.init));
    assert.deepEqual(machine.open(`/${TOP}`).processes().sort(), own.sort());
    between(machine.load.threadCount() ?? 0, 3, 64);
  });

  run("a name with blanks, colons and commas", (machine) => {
    const odd = machine.open(`/${TOP}/outer/odd name:1,2`);
    assert.ok(odd.alive());
    assert.equal(odd.memory()?.limit.value, 100 * MIB);
  });

  runChanging("a cgroup that has gone reads as nothing", (machine) => {
    const { load } = machine;
    assert.ok(load.memory());
    assert.ok(load.cpuset());
    assert.ok(load.alive());
    machine.removeCgroup();
    assert.equal(load.alive(), false);
    assert.equal(machine.open(machine.path).memory(), undefined);
    assert.equal(machine.open(machine.path).cpuset(), undefined);
    assert.equal(machine.open(machine.path).cpuTimes(), undefined);
    assert.deepEqual(machine.open(machine.path).processes(), []);
  });

  runChanging("one that was made again under the same path is another", (machine) => {
    const { load } = machine;
    assert.ok(load.alive());
    machine.removeCgroup();
    // The filesystem may give the inode number again at once, which the kernel's cgroups do not.
    const occupied = `${machine.fixture.root}/occupied`;
    for (let i = 0; i < 64; i++) mkdirSync(`${occupied}${i}`);
    machine.makeCgroup();
    assert.equal(load.alive(), false);
  });

  runChanging("malformed limits are none, and no reading is NaN or negative", (machine) => {
    const bad = [
      "",
      "\n",
      "max\n",
      "0\n",
      "-5\n",
      "9".repeat(40),
      "junk\n",
      "1 2 3\n",
      "max max\n",
    ];
    for (const text of bad) {
      for (const directory of machine.levels()) {
        for (const name of LIMIT_FILES) machine.overwrite(`${directory}/${name}`, text);
      }
      const fresh = machine.open(machine.path);
      assertSane(fresh);
      assertSane(machine.load);
      fresh.close();
    }
  });

  runChanging("every file malformed or missing", (machine) => {
    for (const text of ["", "junk\n", "\n\n", "-1\n", ": : :\n", undefined]) {
      for (const directory of machine.levels()) {
        for (const name of READ_FILES) {
          if (text === undefined) rmSync(`${directory}/${name}`, { force: true });
          else machine.overwrite(`${directory}/${name}`, text);
        }
      }
      const fresh = machine.open(machine.path);
      assertSane(fresh);
      assertSane(machine.load);
      fresh.close();
    }
  });

  test(`${fixtureName}: every exception names a case`, () => {
    for (const name of Object.keys(exceptions)) assert.ok(known.has(name), name);
  });
}

const LIMIT_FILES = [
  "memory.max",
  "memory.swap.max",
  "memory.limit_in_bytes",
  "memory.memsw.limit_in_bytes",
  "cpu.max",
  "cpu.cfs_quota_us",
  "cpu.cfs_period_us",
  "cpuset.cpus",
  "cpuset.cpus.effective",
  "cpuset.effective_cpus",
];

const READ_FILES = [
  ...LIMIT_FILES,
  "memory.stat",
  "memory.current",
  "memory.usage_in_bytes",
  "memory.memsw.usage_in_bytes",
  "memory.swap.current",
  "memory.numa_stat",
  "memory.swappiness",
  "memory.kmem.usage_in_bytes",
  "cpu.stat",
  "cpuacct.usage_percpu",
  "cpuacct.usage_all",
  "cpuset.mems.effective",
  "cpuset.effective_mems",
  "io.stat",
  "blkio.throttle.io_service_bytes_recursive",
  "cgroup.procs",
  "pids.current",
];

/** What the cases look at of a captured tree. */
function isRead(path: string): boolean {
  if (path.startsWith("/proc")) return /\/(?:self\/mountinfo|cgroup|comm|stat|cpuinfo)$/.test(path);
  return path.startsWith("/sys/fs/cgroup") || /\/cpu\/[a-z]+$/.test(path);
}

/** An unpacked tree and the container in it. */
class Machine {
  readonly fixture: Fixture;
  readonly load: ContainerCgroups;
  readonly path: string = `/${TOP}/outer/inner/leaf`;
  readonly mode: "v1" | "v2";
  readonly onlineCpus: readonly number[];
  readonly #opened: ContainerCgroups[] = [];

  constructor(fixture: Fixture) {
    this.fixture = fixture;
    this.mode = fixture.mode === "v2" ? "v2" : "v1";
    this.onlineCpus = readOnlineCpus(fixture.sys);
    this.load = this.#keep(fixture.paths);
  }

  /** The cgroup of this path in every hierarchy. */
  open(path: string): ContainerCgroups {
    return this.#keep(new Map(this.fixture.layout.hierarchies.map((each) => [each, path])));
  }

  #keep(paths: CgroupPaths): ContainerCgroups {
    const { layout, root } = this.fixture;
    const opened = openContainerCgroups(layout, paths, { root });
    this.#opened.push(opened);
    return opened;
  }

  /** Directories of the container and of all levels above it, in all hierarchies. */
  levels(): string[] {
    const paths = ["", `/${TOP}`, `/${TOP}/outer`, `/${TOP}/outer/inner`, this.path];
    return this.fixture.layout.hierarchies.flatMap((hierarchy) =>
      paths.map((path) => this.fixture.root + hierarchy.mountPoint + path),
    );
  }

  /** Changes a file of the container. */
  readonly edit = (controller: string, name: string, change: (text: string) => string): void => {
    const { layout, root } = this.fixture;
    const hierarchy = hierarchyOf(layout.hierarchies, controller);
    assert.ok(hierarchy);
    const directory = cgroupDirectory(hierarchy, this.path, root) ?? "";
    if (!existsSync(`${directory}/${name}`)) return;
    this.overwrite(`${directory}/${name}`, change(readFileSync(`${directory}/${name}`, "latin1")));
  };

  /** Writes in place where the file exists, as the kernel would change it: held descriptors see it. */
  overwrite(path: string, text: string): void {
    if (existsSync(path)) writeFileSync(path, text);
  }

  removeCgroup(): void {
    for (const hierarchy of this.fixture.layout.hierarchies) {
      const directory = cgroupDirectory(hierarchy, this.path, this.fixture.root) ?? "";
      rmSync(directory, { recursive: true, force: true });
    }
  }

  makeCgroup(): void {
    for (const hierarchy of this.fixture.layout.hierarchies) {
      const directory = cgroupDirectory(hierarchy, this.path, this.fixture.root) ?? "";
      mkdirSync(directory, { recursive: true });
      writeFileSync(`${directory}/cgroup.procs`, "");
    }
  }

  remove(): void {
    for (const opened of this.#opened) opened.close();
    this.fixture.remove();
  }
}

/** Whatever the files say, readings are numbers that make sense. */
function assertSane(cgroups: ContainerCgroups): void {
  const memory = cgroups.memory();
  if (memory) {
    for (const limit of [memory.limit, memory.swapLimit]) assertAmount(limit.value, true);
    assertAmount(memory.usageBytes);
    assertAmount(memory.swapUsageBytes);
    for (const value of Object.values(memory.stat)) {
      if (typeof value === "number") assertAmount(value);
    }
  }
  for (const values of cgroups.numa()?.values() ?? [])
    Object.values(values).forEach((value) => assertAmount(value));
  const { cpus, quotaUs, periodUs } = cgroups.quota();
  assertAmount(cpus, true);
  assert.ok(cpus > 0 && quotaUs > 0 && periodUs > 0 && periodUs < Infinity);
  const times = cgroups.cpuTimes();
  if (times)
    [times.usageUs, times.userUs, times.systemUs, times.niceUs].forEach((us) => assertAmount(us));
  const cpuset = cgroups.cpuset();
  assert.ok(cpuset === undefined || cpuset.length > 0);
  for (const device of cgroups.io() ?? [])
    Object.values(device).forEach((value) => assertAmount(value));
  cgroups.pressure("io");
  cgroups.processes().forEach((pid) => assertAmount(pid));
  const threads = cgroups.threadCount();
  if (threads !== undefined) assertAmount(threads);
}

function assertAmount(value: number, orInfinity = false): void {
  assert.ok(value >= 0, String(value));
  assert.ok(orInfinity || value < Infinity, String(value));
}

function between(value: number, least: number, most: number): void {
  assert.ok(value >= least && value <= most, `${value} is not in ${least}..${most}`);
}
