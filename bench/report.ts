/** The result as a table for people. */
import { type BenchResult, type Figure, figure, find, ratio } from "./result.ts";
import type { Case, Measurement } from "./measurement.ts";
import { median, type Spread } from "./statistics.ts";
import { SUBJECT_TITLES } from "./subjects.ts";
import type { Verdict } from "./targets.ts";

/** The whole report, lines of plain text. */
export function report(result: BenchResult): string {
  const { machine } = result;
  const lines = [
    `${machine.cpus} x ${machine.cpu}, ${machine.memoryMib} MiB, ${machine.virtual}, Linux ${machine.kernel}, ` +
      `cgroup ${machine.cgroup}, Node ${machine.node}, lxcfs ${machine.peer}, load ${machine.loadBefore.toFixed(2)}`,
    "",
  ];
  for (const scenario of ["read", "depth", "many"]) {
    const measured = result.measurements.filter((one) => one.scenario === scenario);
    if (measured.length === 0) continue;
    lines.push(
      `${TITLES[scenario]} (median over rounds; +- is half the range)`,
      ...table(result, measured),
      "",
    );
  }
  for (const { subject, firstReadMs, idle } of result.starts) {
    lines.push(
      `start to first read, ${SUBJECT_TITLES[subject]}: ${median(firstReadMs).toFixed(0)} ms; ` +
        `then RssAnon ${mb(idle.rssAnon)}, RssFile ${mb(idle.rssFile)}, PSS ${mb(idle.pss)}`,
    );
  }
  for (const { subject, containers, first, last } of result.memory) {
    lines.push(
      `memory with ${containers} containers, ${SUBJECT_TITLES[subject]}: RssAnon ${mb(first.rssAnon)} -> ` +
        `${mb(last.rssAnon)}, RssFile ${mb(last.rssFile)}, PSS ${mb(last.pss)}`,
    );
  }
  for (const list of result.lists) {
    lines.push(
      `cgroup.procs of ${list.processes} processes, ${list.hierarchy}: ${ms(list.listMs)}, at most ` +
        `${ms(list.longestListMs)}; another container's meminfo meanwhile, p99: ` +
        `${ms(list.otherBesideP99Ms)} (alone ${ms(list.otherAloneP99Ms)})`,
    );
  }
  for (const { subject, file, perRead, byName } of result.syscalls) {
    const names = Object.entries(byName).map(([name, count]) => `${name} ${count.toFixed(1)}`);
    lines.push(
      `system calls per read, ${SUBJECT_TITLES[subject]} ${file}: ${perRead.toFixed(1)} (${names.join(", ")})`,
    );
  }
  return lines.join("\n");
}

/** The targets, met or missed. */
export function reportVerdicts(verdicts: readonly Verdict[]): string {
  const words = { true: "met", false: "MISSED", undefined: "not measured" };
  return verdicts
    .map(({ target, wanted, measured, met, floor }) =>
      [
        words[`${met}`].padEnd(13),
        (measured?.toFixed(2) ?? "-").padStart(8),
        wanted.padEnd(8),
        met === false && floor !== undefined
          ? `${target} (the floor: ${floor.toFixed(2)})`
          : target,
      ].join(" "),
    )
    .join("\n");
}

const TITLES: Readonly<Record<string, string>> = {
  read: "Reads, one container four cgroups deep",
  depth: "Reads by depth of the cgroup",
  many: "Reads from many live containers in turn",
};

const COLUMNS: readonly (readonly [string, Figure])[] = [
  ["reads/s", "opsPerSecond"],
  ["p50 us", "p50Us"],
  ["p99 us", "p99Us"],
  ["max us", "maxUs"],
  ["CPU us", "serverCpuUs"],
];

function table(result: BenchResult, measured: readonly Measurement[]): string[] {
  const titles = COLUMNS.map(([title]) => title.padStart(17));
  const lines = [`${"".padEnd(63)}${titles.join("")}   to lxcfs: reads/s  p50    p99    CPU`];
  for (const one of measured) {
    const { subject, file, mode, readers, depth, containers } = one;
    const name =
      one.scenario === "many"
        ? `${containers} live`
        : one.scenario === "depth"
          ? `depth ${depth}`
          : mode;
    const head = `${file.padEnd(30)}${`${readers} x ${name}`.padEnd(15)}${SUBJECT_TITLES[subject].padEnd(18)}`;
    const cells = COLUMNS.map(([, column]) => cell(figure(one, column)).padStart(17));
    lines.push(head + cells.join("") + (subject === "ours" ? ratios(result, one) : ""));
  }
  return lines;
}

function ratios(result: BenchResult, ours: Measurement): string {
  const { rounds: _, ...of } = ours;
  const peer: Case = { ...of, subject: "peer" };
  if (!find(result, peer)) return "";
  const cells = (["opsPerSecond", "p50Us", "p99Us", "serverCpuUs"] as const).map((name) => {
    const found = ratio(result, name, of, peer)?.median;
    return (found === undefined ? "-" : `${found.toFixed(2)}x`).padStart(7);
  });
  return `           ${cells.join("")}`;
}

function cell({ median: middle, least, most }: Spread): string {
  if (Number.isNaN(middle)) return "-";
  const digits = middle < 100 ? 1 : 0;
  return `${middle.toFixed(digits)} +-${((most - least) / 2).toFixed(digits)}`;
}

function ms(rounds: readonly number[]): string {
  return `${median(rounds).toFixed(2)} ms`;
}

function mb(kb: number): string {
  return `${(kb / 1000).toFixed(1)} MB`;
}
