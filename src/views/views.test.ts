/** Every view over every captured machine: the kernel's form, the container's figures, no nonsense. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { EXPECTED, LOAD_ANON_BYTES } from "../../tools/capture/plan.ts";
import { fixtureNames } from "../../tools/fixture.ts";
import { withManyCpus } from "../../tools/many_cpus.ts";
import { cgroupDirectory } from "../cgroup/paths.ts";
import { parseMeminfo } from "../host/meminfo.ts";
import { parseStat } from "../host/stat.ts";
import { CapturedMachine } from "../machine/testing.ts";
import type { MachineSettings } from "../machine/machine.ts";
import { VIEWS } from "./index.ts";
import { rendererOf } from "./testing.ts";

/** What may be empty: a container that has used no disk has no lines there. */
const MAY_BE_EMPTY = new Set(["proc/diskstats", "proc/partitions"]);

function onEach(
  name: string,
  settings: Partial<MachineSettings>,
  body: (captured: CapturedMachine) => void,
): void {
  for (const fixture of fixtureNames()) {
    void test(`${fixture}: ${name}`, () => {
      const captured = new CapturedMachine(fixture, settings);
      try {
        body(captured);
      } finally {
        captured.remove();
      }
    });
  }
}

function render({ machine }: CapturedMachine, path: string): string {
  const view = VIEWS.find((each) => each.path === path);
  assert.ok(view, path);
  const text = view.render(machine);
  assert.ok(text !== undefined, `${path} is not the container's own`);
  return text;
}

function hostText({ fixture }: CapturedMachine, path: string): string {
  return readFileSync(`${fixture.root}/${path}`, "latin1");
}

/** Digits become one: what is left is the form. */
function formOf(text: string): string {
  return text.replaceAll(/ *-?\d+/g, " 0");
}

onEach("meminfo has the kernel's lines in the kernel's order and columns", {}, (captured) => {
  const own = render(captured, "proc/meminfo").split("\n");
  const host = hostText(captured, "proc/meminfo").split("\n");
  assert.deepEqual(own.map(formOf), host.map(formOf));
  for (const [index, line] of own.entries()) assert.equal(line.length, host[index]?.length);
});

onEach("meminfo has the container's limit and the load's memory", {}, (captured) => {
  const meminfo = parseMeminfo(render(captured, "proc/meminfo"));
  assert.equal((meminfo.get("MemTotal") ?? 0) * 1024, EXPECTED.memoryBytes);
  assert.ok((meminfo.get("AnonPages") ?? 0) * 1024 >= LOAD_ANON_BYTES);
  assert.equal(meminfo.get("DirectMap4k"), 0);
  assertMemory(meminfo);
});

function assertMemory(meminfo: ReturnType<typeof parseMeminfo>): void {
  const get = (name: string): number => meminfo.get(name) ?? 0;
  const ordered = (less: string, more: string): void =>
    assert.ok(get(less) <= get(more), `${less} ${get(less)} > ${more} ${get(more)}`);
  for (const name of meminfo.names) {
    const value = meminfo.get(name) ?? Number.NaN;
    assert.ok(value >= 0 && Number.isSafeInteger(value), `${name} is ${value}`);
  }
  ordered("MemFree", "MemAvailable");
  ordered("MemAvailable", "MemTotal");
  ordered("Shmem", "Cached");
  assert.ok(get("MemFree") + get("Cached") <= get("MemTotal"));
  ordered("SwapFree", "SwapTotal");
  assert.equal(get("KReclaimable"), get("SReclaimable"));
  assert.equal(get("Slab"), get("SReclaimable") + get("SUnreclaim"));
}

onEach("stat has the kernel's lines, and its rows sum up", {}, (captured) => {
  const text = render(captured, "proc/stat");
  const words = (stat: string): string[] =>
    stat.split("\n").map((line) => (line.split(" ")[0] ?? "").replace(/^cpu\d+$/, "cpuN"));
  const kinds = (stat: string): string[] => [...new Set(words(stat))];
  assert.deepEqual(kinds(text), kinds(hostText(captured, "proc/stat")));
  const stat = parseStat(text);
  assert.deepEqual(
    stat.cpus.map(({ cpu }) => cpu),
    [0],
  );
  assertSums(stat);
});

function assertSums(stat: ReturnType<typeof parseStat>): void {
  const sums = stat.totalTicks.map((_, column) =>
    stat.cpus.reduce((sum, row) => sum + (row.ticks[column] ?? 0), 0),
  );
  assert.deepEqual(sums, [...stat.totalTicks]);
}

onEach("one set of CPUs in every file", { cpuPolicy: "none" }, (captured) => {
  const count = captured.machine.topology().hostCpus.length;
  assert.equal(count, captured.host.onlineCpus().length);
  const list = `0-${count - 1}\n`;
  for (const name of ["online", "present", "possible"]) {
    assert.equal(render(captured, `sys/devices/system/cpu/${name}`), list);
  }
  assert.equal(render(captured, "sys/devices/system/cpu/offline"), "\n");
  const processors = [...render(captured, "proc/cpuinfo").matchAll(/^processor\s*: (\d+)$/gm)];
  assert.deepEqual(
    processors.map(([, number]) => Number(number)),
    [...Array(count).keys()],
  );
  assert.equal(parseStat(render(captured, "proc/stat")).cpus.length, count);
});

onEach(
  "cpuinfo without a bound is the host's, word for word",
  { cpuPolicy: "none" },
  (captured) => {
    const own = render(captured, "proc/cpuinfo");
    const host = hostText(captured, "proc/cpuinfo");
    // The host counts CPUs and cores of a package as they are; so must this.
    assert.equal(own, host);
  },
);

onEach("cpuinfo of one CPU counts one CPU", {}, (captured) => {
  const text = render(captured, "proc/cpuinfo");
  assert.match(text, /^processor\t: 0$/m);
  assert.doesNotMatch(text, /^processor\t: 1$/m);
  assert.match(text, /^siblings\t: 1$/m);
  assert.match(text, /^cpu cores\t: 1$/m);
});

onEach("hundreds of CPUs", { cpuPolicy: "none" }, (captured) => {
  withManyCpus(captured.fixture.root, 700);
  const { machine } = captured;
  assert.equal(machine.topology().hostCpus.length, 700);
  assert.equal(parseStat(render(captured, "proc/stat")).cpus.length, 700);
  assert.equal(render(captured, "sys/devices/system/cpu/online"), "0-699\n");
  assert.match(render(captured, "proc/cpuinfo"), /^processor\t: 699$/m);
});

onEach("uptime is the init's age, idle is its CPUs' time that was not used", {}, (captured) => {
  const [up = -1, idle = -1] = render(captured, "proc/uptime").split(" ").map(Number);
  // The load is seconds old when it is captured.
  assert.ok(up >= 0 && up < 120, `${up} s`);
  assert.ok(idle >= 0 && idle <= up);
  captured.clock.seconds += 60;
  const [later = -1] = render(captured, "proc/uptime").split(" ").map(Number);
  assert.ok(Math.abs(later - up - 60) <= 0.011, `${up} and then ${later}`);
});

onEach("loadavg has the kernel's form and the container's threads", {}, (captured) => {
  const text = render(captured, "proc/loadavg");
  assert.match(text, /^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+\n$/);
  const [, running = 0, threads = 0, lastPid = 0] =
    /(\d+)\/(\d+) (\d+)\n$/.exec(text)?.map(Number) ?? [];
  assert.ok(running >= 1 && running <= threads && threads < 64);
  assert.ok(lastPid >= 1 && lastPid < 1000, "the container's pid, not the host's");
});

onEach("diskstats has the columns of this kernel and only disks that were used", {}, (captured) => {
  const columns = (text: string): Set<number> =>
    new Set(text.trim().split("\n").filter(Boolean).map((line) => line.trim().split(/\s+/).length)); // prettier-ignore
  const own = render(captured, "proc/diskstats");
  const host = hostText(captured, "proc/diskstats");
  for (const count of columns(own)) assert.ok(columns(host).has(count));
  const names = (text: string): string[] =>
    text.split("\n").filter(Boolean).map((line) => line.trim().split(/\s+/)[2] ?? ""); // prettier-ignore
  for (const name of names(own)) assert.ok(names(host).includes(name));
  const rows = render(captured, "proc/partitions").split("\n").slice(2).filter(Boolean);
  assert.deepEqual(rows.map((row) => row.trim().split(/\s+/)[3]), names(own)); // prettier-ignore
});

onEach("swaps says what meminfo says", {}, (captured) => {
  const meminfo = parseMeminfo(render(captured, "proc/meminfo"));
  const [, row] = render(captured, "proc/swaps").split("\n");
  const [, , size = "0", used = "0"] = (row ?? "").split(/\s+/);
  assert.equal(Number(size), meminfo.get("SwapTotal"));
  const free = meminfo.get("SwapFree") ?? 0;
  assert.equal(Number(used), (meminfo.get("SwapTotal") ?? 0) - free);
});

onEach("no swap is shown where none is to be", { showSwap: false }, (captured) => {
  assert.equal(parseMeminfo(render(captured, "proc/meminfo")).get("SwapTotal"), 0);
  assert.equal(render(captured, "proc/swaps").split("\n").length, 2);
});

onEach("vmstat has the kernel's lines, in pages of what meminfo says in KiB", {}, (captured) => {
  const text = render(captured, "proc/vmstat");
  const names = (each: string): string[] =>
    each.split("\n").map((line) => line.split(" ")[0] ?? "");
  assert.deepEqual(names(text), names(hostText(captured, "proc/vmstat")));
  const value = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  const meminfo = parseMeminfo(render(captured, "proc/meminfo"));
  assert.equal(value("nr_free_pages"), (meminfo.get("MemFree") ?? 0) / 4);
  assert.equal(value("nr_anon_pages"), (meminfo.get("AnonPages") ?? 0) / 4);
  assert.ok(value("pgfault") > 1000);
  assert.doesNotMatch(text, /NaN|-|undefined|Infinity/);
});

onEach("slabinfo has its head and nothing of the host's", {}, (captured) => {
  assert.equal(render(captured, "proc/slabinfo").split("\n").length, 3);
});

onEach("pressure is the container's own where its kernel has it", {}, (captured) => {
  for (const resource of ["cpu", "memory", "io"]) {
    const view = VIEWS.find((each) => each.path === `proc/pressure/${resource}`);
    const text = view?.render(captured.machine);
    const has = captured.fixture.layout.hierarchies.some(({ version }) => version === 2);
    if (has) assert.match(text ?? "", /^some avg10=[\d.]+ avg60=.*\nfull avg10=.*total=\d+\n$/);
    else assert.equal(text, undefined);
  }
});

/** Files of the container's cgroups that any view reads. */
function cgroupFiles({ fixture }: CapturedMachine): string[] {
  const files: string[] = [];
  for (const hierarchy of fixture.layout.hierarchies) {
    const path = fixture.paths.get(hierarchy);
    const directory = path && cgroupDirectory(hierarchy, path, fixture.root);
    if (!directory || !existsSync(directory)) continue;
    for (const name of readdirSync(directory)) {
      const file = `${directory}/${name}`;
      // Which processes there are is another matter than what is accounted to them.
      if (statSync(file).isFile() && name !== "cgroup.procs") files.push(file);
    }
  }
  return files;
}

const ODD_TEXTS = [
  "",
  "\n",
  "0\n",
  "max\n",
  "-1\n",
  "junk\n",
  "9".repeat(30),
  "max 0\n",
  "0 0\n",
  "1 1\n",
  "5-2\n",
  "0-100000\n",
];

const change = fc.record({
  file: fc.nat(),
  text: fc.constantFrom(undefined, ...ODD_TEXTS),
  factor: fc.constantFrom(0, 0.5, 2, 1000),
  seconds: fc.constantFrom(0, 0.004, 1, 3600, -10),
});

for (const name of fixtureNames()) {
  void test(`${name}: whatever the cgroup says, every file stays sane`, () => {
    const captured = new CapturedMachine(name);
    const files = cgroupFiles(captured);
    const originals = files.map((file) => readFileSync(file, "latin1"));
    const errors: unknown[] = [];
    const renderer = rendererOf(captured, (error) => errors.push(error));
    try {
      let last: readonly number[] = [];
      const look = (): void => {
        for (const view of VIEWS) {
          const text = renderer.text(captured.container, view.local)?.toString("latin1");
          if (text === undefined) continue; // neither here nor on the host
          if (!MAY_BE_EMPTY.has(view.path)) assert.notEqual(text, "", view.path);
          // The host's file, where the container's cannot be made, has numbers of its own.
          if (text === renderer.text(undefined, view.local)?.toString("latin1")) continue;
          assert.doesNotMatch(text, /NaN|undefined|Infinity|(?<![\w-])-\d|e\+/, view.path);
        }
        const meminfo = renderer.text(captured.container, 32)?.toString("latin1") ?? "";
        if (meminfo !== captured.host.procText("meminfo")) assertMemory(parseMeminfo(meminfo));
        const stat = parseStat(renderer.text(captured.container, 33)?.toString("latin1") ?? "");
        assertSums(stat);
        for (const [column, ticks] of stat.totalTicks.entries()) {
          assert.ok(ticks >= (last[column] ?? 0), `column ${column} of stat went back`);
        }
        last = stat.totalTicks;
      };
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
          for (const { file, text, factor, seconds } of changes) {
            const at = file % files.length;
            const scaled = (originals[at] ?? "").replaceAll(/\d+/g, (digits) =>
              String(Math.floor(Number(digits) * factor)),
            );
            writeFileSync(files[at] ?? "", text ?? scaled);
            captured.clock.seconds = Math.max(100, captured.clock.seconds + seconds);
            look();
          }
        }),
        { numRuns: 60, endOnFailure: true, includeErrorInReport: true },
      );
      assert.deepEqual(errors, []);
    } finally {
      captured.remove();
    }
  });
}
